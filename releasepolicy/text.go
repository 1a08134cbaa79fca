package releasepolicy

import (
	"fmt"
	"slices"
	"strings"

	"skr/internal/excerpt"
)

// Marks stand before each line of an explanation. Their letters differ, so that the text
// does not depend on colour.
type Marks struct {
	Met   string
	Unmet string // not met, which is a reason why the key is not released
	Idle  string // not met, which does not matter
}

// PlainMarks are for files and for terminals without colour. ColourMarks set the colour of the
// letters and the one behind them, which can be read on dark and light terminals.
var (
	PlainMarks  = Marks{"met    ", "NOT MET", "unmet  "}
	ColourMarks = Marks{"\x1b[30;42mmet\x1b[0m    ", "\x1b[1;97;41mNOT MET\x1b[0m", "unmet  "}
)

// Text returns the explanation for people: a line for each condition, indented as they
// nest. An authority that did not issue the token has one line, unless it is the only one.
func (e Explanation) Text(marks Marks) string {
	r := renderer{marks: marks, hints: e.Hints}
	r.add("issuer  %s\n\n", excerpt.Word(e.Issuer))
	issued := slices.ContainsFunc(e.Authorities, func(o Outcome) bool { return o.Issued })
	for _, o := range e.Authorities {
		name := "authority " + excerpt.Word(o.Authority)
		if o.Issued {
			r.line(r.mark(o.Met, false), 0, name+", "+o.Kind.words())
		} else {
			r.line(r.mark(false, issued), 0, name+" did not issue the token")
		}
		if o.Issued || len(e.Authorities) == 1 {
			for _, member := range o.Members {
				r.condition(member, 1, o.Met)
			}
		}
	}
	r.add("\n%s\n", e.verdict())
	return r.text.String()
}

func (e Explanation) verdict() string {
	if e.Met {
		return "The token meets the policy."
	}
	return "The token does not meet the policy, because of " + strings.Join(e.Reasons(), ", ") + "."
}

// Reasons returns the claims of the comparisons that are not met, each once and fit for a
// terminal.
func (e Evaluation) Reasons() []string {
	var names []string
	for _, unmet := range e.Unmet() {
		if name := excerpt.Of(unmet.Claim); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

type renderer struct {
	text  strings.Builder
	marks Marks
	hints map[string]string
}

func (r *renderer) add(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

func (r *renderer) line(mark string, depth int, text string) {
	r.add("%s %s%s\n", mark, strings.Repeat("  ", depth), text)
}

// condition adds the lines of a condition. idle means that its group is met without it.
func (r *renderer) condition(o Outcome, depth int, idle bool) {
	mark := r.mark(o.Met, idle)
	if o.Kind != Claim {
		r.line(mark, depth, o.Kind.words())
		for _, member := range o.Members {
			r.condition(member, depth+1, o.Met || idle)
		}
		return
	}
	r.line(mark, depth, comparison(o))
	if hint := r.hints[o.Claim]; hint != "" && !o.Met && !idle {
		r.line(strings.Repeat(" ", len(PlainMarks.Met)), depth+1, hint)
	}
}

// comparison describes a comparison with what the token says.
func comparison(o Outcome) string {
	text := o.String()
	switch {
	case o.Absent && o.Operator != Exists:
		return text + ", and is absent"
	case o.Operator == Exists && o.Absent:
		return text + ", and it does not"
	case o.Operator == Exists:
		return text + ", and it does"
	case o.Met && o.Operator == Equals:
		return text
	}
	return text + ", and is " + excerpt.Word(o.Actual)
}

func (r *renderer) mark(met, idle bool) string {
	switch {
	case met:
		return r.marks.Met
	case idle:
		return r.marks.Idle
	}
	return r.marks.Unmet
}

package lint

import (
	"fmt"
	"slices"
	"strings"

	"skr/hsm"
)

// Marks stand before each line of an explanation. They differ in their letters, so
// that nothing depends on colour.
type Marks struct {
	Met   string
	Unmet string // and that is why the key is not released
	Idle  string // not met, and that does not matter
}

// PlainMarks are for files and for terminals without colour; ColourMarks add the
// colours of ECMA-48, section 8.3.117.
var (
	PlainMarks  = Marks{"met    ", "NOT MET", "unmet  "}
	ColourMarks = Marks{"\x1b[32mmet\x1b[0m    ", "\x1b[1;31mNOT MET\x1b[0m", "\x1b[2munmet\x1b[0m  "}
)

// Text is the explanation for people: a line for each condition, indented as they
// nest. Of several authorities, those that did not issue the token are one line.
func (e Explanation) Text(marks Marks) string {
	r := renderer{marks: marks, hints: e.Hints}
	r.add("issuer  %s\n\n", quoteUnlessPlain(e.Issuer))
	issued := slices.ContainsFunc(e.Conditions, func(c hsm.Condition) bool { return c.Issued })
	for _, c := range e.Conditions {
		if c.Issued {
			r.line(r.mark(c.Met, false), 0, nameOf(c)+", "+words(c.Kind))
		} else {
			r.line(r.mark(false, issued), 0, nameOf(c)+" did not issue the token")
		}
		if c.Issued || len(e.Conditions) == 1 {
			r.members(c)
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

// Reasons are the claims of the comparisons that are not met, once each and fit to
// be shown.
func (e Explanation) Reasons() []string {
	var names []string
	for _, unmet := range e.Unmet() {
		if name := excerpt(unmet.Claim); !slices.Contains(names, name) {
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

func nameOf(c hsm.Condition) string { return "authority " + quoteUnlessPlain(c.Authority) }

func (r *renderer) members(c hsm.Condition) {
	for _, member := range c.Conditions {
		r.condition(member, 1, c.Met)
	}
}

// condition renders a node; idle says that its group is met without it.
func (r *renderer) condition(c hsm.Condition, depth int, idle bool) {
	mark := r.mark(c.Met, idle)
	if c.Kind != hsm.Claim {
		r.line(mark, depth, words(c.Kind))
		for _, member := range c.Conditions {
			r.condition(member, depth+1, c.Met || idle)
		}
		return
	}
	r.line(mark, depth, comparison(c))
	if hint := r.hints[c.Claim]; hint != "" && !c.Met && !idle {
		r.line(strings.Repeat(" ", len(PlainMarks.Met)), depth+1, hint)
	}
}

func comparison(c hsm.Condition) string {
	text := excerpt(c.Claim) + " " + string(c.Operator) + " " + quoteUnlessPlain(c.Expected)
	switch {
	case c.Absent && c.Operator != hsm.Exists:
		return text + ", and is absent"
	case c.Operator == hsm.Exists && c.Absent:
		return text + ", and it does not"
	case c.Operator == hsm.Exists:
		return text + ", and it does"
	case c.Met && c.Operator == hsm.Equals:
		return text
	}
	return text + ", and is " + quoteUnlessPlain(c.Actual)
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

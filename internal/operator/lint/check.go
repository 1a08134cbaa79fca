package lint

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"skr/internal/excerpt"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// maxFindings bounds the findings in one policy.
const maxFindings = 1000

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// Error: the key goes to more than its workload, or is never released.
	Error Severity = "error"
	// Warning: it is likely that something else was meant.
	Warning Severity = "warning"
	// Info: nothing is wrong, and more could be asked for.
	Info Severity = "info"
)

// Finding is one thing that is wrong in a policy.
type Finding struct {
	// Rule is its stable name.
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// Line and Column count from 1, Column in characters. Both are 0 for what is
	// not in the text.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Message says what is wrong, Fix what to write in its place.
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// Subject is what Check cannot know from the text.
type Subject struct {
	// Platform is what the policy is for. If it is empty, Check guesses it for each authority
	// from the conditions, and leaves out the rules for platforms if they do not show it.
	Platform claims.Platform
	// AllowAll are HOST_DATA of execution policies that allow everything, besides the
	// published ones.
	AllowAll []string
	// Immutable reports whether the key's policy is final; nil means unknown.
	Immutable *bool
}

// Check returns what is wrong in the text of a policy, in the order of the text. A text that
// is not a policy is one finding.
func Check(text []byte, subject Subject) []Finding {
	policy, err := releasepolicy.Parse(text)
	if err != nil {
		return []Finding{malformed(err)}
	}
	in := inspection{immutable: subject.Immutable, allowAll: slices.Concat(allowAll, subject.AllowAll)}
	for _, tree := range policy.Tree() {
		in.roots = append(in.roots, root{tree, platformsOf(tree, subject.Platform)})
	}
	for _, rule := range rules {
		in.rule = rule
		rule.check(&in)
	}
	slices.SortStableFunc(in.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return in.found
}

func malformed(err error) Finding {
	f := Finding{Rule: "not-a-policy", Severity: Error, Line: 1, Column: 1, Message: err.Error(),
		Fix: "write it as the grammar asks; `skr policy new` writes one"}
	if e, ok := errors.AsType[*releasepolicy.ParseError](err); ok {
		f.Line, f.Column, f.Message = e.Line, e.Column, e.Reason
	}
	if strings.HasPrefix(f.Message, "a comma must not stand") {
		f.Rule, f.Fix = "trailing-comma", "remove the comma"
	}
	return f
}

// root is an authority with the platforms that its conditions may be for.
type root struct {
	releasepolicy.Condition
	platforms []claims.Platform // none if unknown
}

// all reports whether hold is true for each platform that the conditions may be for. It is
// false if the platform is unknown.
func (r root) all(hold func(claims.Platform) bool) bool {
	return len(r.platforms) > 0 && !slices.ContainsFunc(r.platforms, func(p claims.Platform) bool { return !hold(p) })
}

func (r root) is(p claims.Platform) bool { return len(r.platforms) == 1 && r.platforms[0] == p }

// prefix returns what stands before the names of the report's claims.
func (r root) prefix() string {
	if r.is(claims.CVM) {
		return isolation
	}
	return ""
}

// inspection is the work of Check on one policy.
type inspection struct {
	roots     []root
	immutable *bool
	allowAll  []string // HOST_DATA
	rule      Rule     // whose check runs
	compared  int      // pairs of conditions that were compared, in the whole policy
	found     []Finding
}

// report adds a finding at a condition. The zero Condition stands for no place.
func (in *inspection) report(at releasepolicy.Condition, message, fix string) {
	if len(in.found) < maxFindings {
		in.found = append(in.found, Finding{in.rule.Name, in.rule.Severity, at.Line, at.Column, excerpt.Printable(message), excerpt.Printable(fix)})
	}
}

// comparisons calls visit for each comparison of the policy.
func (in *inspection) comparisons(visit func(root, releasepolicy.Condition)) {
	for _, r := range in.roots {
		comparisons(r.Condition, func(c releasepolicy.Condition) { visit(r, c) })
	}
}

func comparisons(c releasepolicy.Condition, visit func(releasepolicy.Condition)) {
	if c.Kind == releasepolicy.Claim {
		visit(c)
	}
	for _, member := range c.Conditions {
		comparisons(member, visit)
	}
}

package lint

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"skr/internal/check"
	"skr/internal/excerpt"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// maxFindings bounds the findings in one policy.
const maxFindings = 1000

// The outcomes of rules. A rule that finds nothing has no result.
const (
	// Error: the key goes to more than its workload, or is never released.
	Error = check.Failed
	// Warning: the author probably meant something else.
	Warning = check.Warning
	// Info: nothing is wrong, and the policy could demand more.
	Info = check.Note
)

// Format is the form of what rules find: the name of a result is the rule's, its column counts
// characters.
var Format = check.Format{
	Words: map[check.Outcome]string{Error: "error", Warning: "warning", Info: "info"},
	Name:  "rule", Outcome: "severity", Places: true, Found: "message", Fix: "fix",
}

// Subject is what Check cannot know from the text.
type Subject struct {
	// Platform is what the policy is for. If it is empty, Check guesses it for each authority
	// from the conditions, and leaves out the rules for platforms if they do not show it.
	Platform claims.Platform
	// AllowAll are HOST_DATA of execution policies that allow everything, besides the
	// published ones.
	AllowAll []string
	// Workloads are the HOST_DATA that the policy is for; nil means unknown.
	Workloads []string
	// Immutable reports whether the key's policy is final; nil means unknown.
	Immutable *bool
}

// Check returns what is wrong in the text of a policy, in the order of the text. A text that
// is not a policy is one finding.
func Check(text []byte, subject Subject) []check.Result {
	policy, err := releasepolicy.Parse(text)
	if err != nil {
		return []check.Result{malformed(err)}
	}
	in := inspection{immutable: subject.Immutable, allowAll: slices.Concat(allowAll, subject.AllowAll), workloads: subject.Workloads}
	for _, tree := range policy.Tree() {
		in.roots = append(in.roots, root{tree, platformsOf(tree, subject.Platform)})
	}
	for _, rule := range rules {
		in.rule = rule
		rule.check(&in)
	}
	slices.SortStableFunc(in.found, func(a, b check.Result) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return in.found
}

func malformed(err error) check.Result {
	f := check.Result{Name: "not-a-policy", Outcome: Error, Line: 1, Column: 1, Found: err.Error(),
		Fix: "write it as the grammar asks; `skrctl policy new` writes one"}
	if e, ok := errors.AsType[*releasepolicy.ParseError](err); ok {
		f.Line, f.Column, f.Found = e.Line, e.Column, e.Reason
	}
	if strings.HasPrefix(f.Found, "a comma must not stand") {
		f.Name, f.Fix = "trailing-comma", "remove the comma"
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

// prefix returns what stands before the names of the report's claims.
func (r root) prefix() string {
	if r.all(claims.Platform.IsConfidentialVM) {
		return isolation
	}
	return ""
}

// inspection is the work of Check on one policy.
type inspection struct {
	roots     []root
	immutable *bool
	allowAll  []string // HOST_DATA
	workloads []string // HOST_DATA; nil means unknown
	rule      Rule     // whose check runs
	compared  int      // pairs of conditions that were compared, in the whole policy
	found     []check.Result
}

// report adds a finding at a condition. The zero Condition stands for no place.
func (in *inspection) report(at releasepolicy.Condition, message, fix string) {
	if len(in.found) < maxFindings {
		in.found = append(in.found, check.Result{
			Name: in.rule.Name, Outcome: in.rule.Severity, Line: at.Line, Column: at.Column,
			Found: excerpt.Printable(message), Fix: excerpt.Printable(fix),
		})
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

package lint

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"skr/hsm"
	"skr/internal/claims"
)

// maxFindings bounds what is told of one policy.
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
	// Platform that the policy is for; "" guesses it for each authority from the
	// conditions, and leaves the rules for platforms out where they do not tell.
	Platform claims.Platform
	// AllowAll are HOST_DATA of policies that are known to allow everything, besides the
	// published ones.
	AllowAll []string
	// Immutable says whether the key's policy can still be changed; nil if nobody knows.
	Immutable *bool
}

// Check judges a policy by its text, and orders what it finds by its place. A text
// that is no policy is one finding.
func Check(text []byte, subject Subject) []Finding {
	policy, err := hsm.ParseReleasePolicy(text)
	if err != nil {
		return []Finding{malformed(err)}
	}
	in := inspection{immutable: subject.Immutable, allowAll: slices.Concat(allowAll, subject.AllowAll)}
	for _, tree := range policy.Tree() {
		in.roots = append(in.roots, root{tree, platformsOf(tree, subject.Platform)})
	}
	for _, rule := range rules {
		in.rule = rule
		rule.look(&in)
	}
	slices.SortStableFunc(in.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return in.found
}

func malformed(err error) Finding {
	f := Finding{Rule: "not-a-policy", Severity: Error, Line: 1, Column: 1, Message: err.Error(),
		Fix: "write it as the grammar asks; `skrctl policy new` writes one"}
	if e, ok := errors.AsType[*hsm.PolicyError](err); ok {
		f.Line, f.Column, f.Message = e.Line, e.Column, e.Reason
	}
	if strings.HasPrefix(f.Message, "a comma must not stand") {
		f.Rule, f.Fix = "trailing-comma", "remove the comma"
	}
	return f
}

// root is an authority with the platforms that its conditions are for.
type root struct {
	hsm.Node
	platforms []claims.Platform // none if unknown
}

// all says whether the platform is known, whichever of several it is, to hold.
func (r root) all(hold func(claims.Platform) bool) bool {
	return len(r.platforms) > 0 && !slices.ContainsFunc(r.platforms, func(p claims.Platform) bool { return !hold(p) })
}

func (r root) is(p claims.Platform) bool { return len(r.platforms) == 1 && r.platforms[0] == p }

// prefix is what stands before the names of the report's claims.
func (r root) prefix() string {
	if r.is(claims.CVM) {
		return isolation
	}
	return ""
}

// inspection is a policy under judgement.
type inspection struct {
	roots     []root
	immutable *bool
	allowAll  []string // HOST_DATA
	rule      Rule     // that looks
	compared  int      // pairs of conditions, for the whole policy
	found     []Finding
}

// report tells of a place in the text; the zero Node is none.
func (in *inspection) report(at hsm.Node, message, fix string) {
	if len(in.found) < maxFindings {
		in.found = append(in.found, Finding{in.rule.Name, in.rule.Severity, at.Line, at.Column, printable(message), printable(fix)})
	}
}

// comparisons visits each comparison of a claim.
func (in *inspection) comparisons(visit func(root, hsm.Node)) {
	for _, r := range in.roots {
		comparisons(r.Node, func(n hsm.Node) { visit(r, n) })
	}
}

func comparisons(n hsm.Node, visit func(hsm.Node)) {
	if n.Kind == hsm.Claim {
		visit(n)
	}
	for _, member := range n.Conditions {
		comparisons(member, visit)
	}
}

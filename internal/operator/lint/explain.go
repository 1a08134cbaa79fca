package lint

import (
	"strings"

	"skr/hsm"
	"skr/internal/claims"
	"skr/internal/strictjson"
)

// Explanation tells whether a token meets a policy, and why.
type Explanation struct {
	hsm.Evaluation
	// Hints say what may be meant, by the claim of a comparison that is not met.
	Hints map[string]string `json:"hints,omitempty"`
}

// Explain evaluates a policy for a token that its own iss claim issued. That the
// token is authentic is for the caller to know.
func Explain(p *hsm.ReleasePolicy, token strictjson.Object) Explanation {
	issuer, _ := token.Text("iss")
	e := Explanation{Evaluation: p.Evaluate(issuer, token), Hints: make(map[string]string)}
	for _, unmet := range e.Unmet() {
		if hint := hintFor(unmet, token); hint != "" {
			e.Hints[unmet.Claim] = hint
		}
	}
	return e
}

func hintFor(unmet hsm.Condition, token strictjson.Object) string {
	switch {
	case unmet.Absent:
		return absentHint(unmet.Claim, token)
	case strings.EqualFold(unmet.Expected, unmet.Actual) && unmet.Operator == hsm.Equals:
		return "only capitals differ, and they count"
	}
	return meaning(unmet.Claim)
}

// absentHint looks for the claim elsewhere in the token, then for one with almost
// that name.
func absentHint(claim string, token strictjson.Object) string {
	elsewhere, cut := strings.CutPrefix(claim, isolation)
	if !cut {
		elsewhere = isolation + claim
	}
	if _, found := token.Lookup(elsewhere); found {
		return "the token has it elsewhere, as " + excerpt(elsewhere)
	}
	if _, known := claims.Lookup(claim); known {
		return meaning(claim)
	}
	if near, found := claims.Nearest(claim); found {
		return "there is no such claim; is " + near + " meant?"
	}
	return ""
}

// meaning says what a claim is about, for those that need no more of a hint.
func meaning(claim string) string {
	known, found := claims.Lookup(claim)
	if !found || known.Kind == claims.Free {
		return ""
	}
	return "it says: " + known.Meaning
}

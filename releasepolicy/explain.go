package releasepolicy

import (
	"strings"

	"skr/internal/excerpt"
	"skr/releasepolicy/claims"
)

// Explanation is an evaluation with hints for people.
type Explanation struct {
	Evaluation
	// Hints say what may be wrong, by the claim of a comparison that is not met.
	Hints map[string]string `json:"hints,omitempty"`
}

// Explain evaluates the policy for the token's claims; its claim iss is the issuer. Like
// [Policy.Evaluate] it does not verify the token.
func (p *Policy) Explain(token map[string]any) Explanation {
	issuer, _ := token["iss"].(string)
	e := Explanation{Evaluation: p.Evaluate(issuer, token), Hints: make(map[string]string)}
	for _, unmet := range e.Unmet() {
		if hint := hintFor(unmet, token); hint != "" {
			e.Hints[unmet.Claim] = hint
		}
	}
	return e
}

func hintFor(unmet Outcome, token map[string]any) string {
	switch {
	case unmet.Absent:
		return absentHint(unmet.Claim, token)
	case strings.EqualFold(unmet.Value.Text, unmet.Actual) && unmet.Operator == Equals:
		return "only capitals differ, and they count"
	}
	return meaning(unmet.Claim)
}

// absentHint names the claim where the token has it elsewhere, or one of nearly that name.
func absentHint(claim string, token map[string]any) string {
	elsewhere := claims.Elsewhere(claim)
	if _, found := lookup(token, strings.Split(elsewhere, ".")); found {
		return "the token has it elsewhere, as " + excerpt.Of(elsewhere)
	}
	if _, known := claims.Lookup(claim); known {
		return meaning(claim)
	}
	if near, found := claims.Nearest(claim); found {
		return "there is no such claim; is " + near + " meant?"
	}
	return ""
}

// meaning says what a claim means, if the catalogue has it.
func meaning(claim string) string {
	known, found := claims.Lookup(claim)
	if !found || known.Kind == claims.Free {
		return ""
	}
	return "it says: " + known.Meaning
}

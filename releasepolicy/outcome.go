package releasepolicy

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Outcome is a condition of a policy with what a token says about it. In JSON it is one
// object, with the condition's members beside the outcome's.
type Outcome struct {
	// Condition is the policy's own. The caller must not change it.
	*Condition
	// Met is the outcome of this condition.
	Met bool
	// Issued reports, for an authority, whether it issued the token. An authority that did
	// not is not met, whatever its conditions are.
	Issued bool
	// Actual is the claim of a comparison as canonical text, or the JSON of an object or array.
	Actual string
	// Absent reports that the token has no such claim. Actual is empty then.
	Absent bool
	// Members are the outcomes of a group's conditions.
	Members []Outcome
}

// maxUnmet bounds the answer of a policy with very many conditions.
const maxUnmet = 32

// Unmet returns the comparisons that keep the policy from being met, in its order, and none
// if it is met. It returns all comparisons of an anyOf group that is not met, and only those
// of the authority that issued the token. If none did, it returns one comparison of the claim
// iss with the names of the authorities.
func (e Evaluation) Unmet() []Outcome {
	if e.Met {
		return nil
	}
	var unmet []Outcome
	issued := false
	for _, root := range e.Authorities {
		if root.Issued {
			issued = true
			unmet = root.unmet(unmet)
		}
	}
	if !issued {
		return []Outcome{e.otherIssuer()}
	}
	return unmet[:min(len(unmet), maxUnmet)]
}

// unmet appends to found the comparisons because of which o is not met.
func (o Outcome) unmet(found []Outcome) []Outcome {
	switch {
	case o.Met:
		return found
	case o.Kind == Claim:
		return append(found, o)
	}
	for _, member := range o.Members {
		found = member.unmet(found)
	}
	return found
}

func (e Evaluation) otherIssuer() Outcome {
	names := make([]string, len(e.Authorities))
	for i, root := range e.Authorities {
		names[i] = withoutSlash(root.Authority)
	}
	issuer := Condition{Kind: Claim, Claim: "iss", Operator: Equals, Value: Text(strings.Join(names, " or "))}
	return Outcome{Condition: &issuer, Actual: e.Issuer}
}

// outcomeJSON fixes the members of an outcome in JSON, and their order.
type outcomeJSON struct {
	Kind       Kind          `json:"kind"`
	Authority  string        `json:"authority,omitempty"`
	Issued     bool          `json:"issued,omitempty"`
	Claim      string        `json:"claim,omitempty"`
	Operator   Operator      `json:"operator,omitempty"`
	Expected   string        `json:"expected,omitempty"`
	Actual     string        `json:"actual,omitempty"`
	Absent     bool          `json:"absent,omitempty"`
	Met        bool          `json:"met"`
	Conditions []outcomeJSON `json:"conditions,omitempty"`
}

func (o Outcome) json() outcomeJSON {
	members := make([]outcomeJSON, len(o.Members))
	for i, member := range o.Members {
		members[i] = member.json()
	}
	return outcomeJSON{o.Kind, o.Authority, o.Issued, o.Claim, o.Operator, o.Value.Text, o.Actual, o.Absent, o.Met, members}
}

// MarshalJSON returns the outcome with its members. The encoder that calls it escapes for
// HTML if it is set to.
func (o Outcome) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(o.json())
	return b.Bytes(), err
}

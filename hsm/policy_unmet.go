package hsm

import "strings"

// maxUnmet bounds what is told of a policy with very many conditions.
const maxUnmet = 32

// Unmet lists the comparisons that keep the policy from being met, in its order;
// none if it is met. Of an anyOf group no member is met, so all are listed.
// Authorities that did not issue the token are left out; if none did, the one
// comparison is that of the claim iss with their names.
func (e Evaluation) Unmet() []Condition {
	if e.Met {
		return nil
	}
	var unmet []Condition
	issued := false
	for _, root := range e.Conditions {
		if root.Issued {
			issued = true
			unmet = root.unmet(unmet)
		}
	}
	if !issued {
		return []Condition{e.otherIssuer()}
	}
	return unmet[:min(len(unmet), maxUnmet)]
}

func (c Condition) unmet(found []Condition) []Condition {
	switch {
	case c.Met && c.Kind != Claim:
		return found
	case c.Kind == Claim && !c.Met:
		return append(found, c)
	}
	for _, member := range c.Conditions {
		found = member.unmet(found)
	}
	return found
}

func (e Evaluation) otherIssuer() Condition {
	names := make([]string, len(e.Conditions))
	for i, root := range e.Conditions {
		names[i] = withoutSlash(root.Authority)
	}
	return Condition{Kind: Claim, Claim: "iss", Operator: Equals, Expected: strings.Join(names, " or "), Actual: e.Issuer}
}

package releasepolicy

import (
	"slices"

	"skr/internal/excerpt"
)

// Loss describes tokens that met a policy and may not meet its successor.
type Loss struct {
	// Authority that issued the tokens.
	Authority string `json:"authority"`
	// Claim and Value describe tokens by a value that was removed from a list.
	Claim string `json:"claim,omitempty"`
	Value string `json:"value,omitempty"`
	// Unmet is, in words, a condition that was not required before. All are empty if the
	// authority was removed.
	Unmet string `json:"unmet,omitempty"`
}

// String describes the tokens as those of running pods.
func (l Loss) String() string {
	switch {
	case l.Claim != "":
		return "pods whose " + excerpt.Of(l.Claim) + " is " + excerpt.Word(l.Value) + ", attested by " + l.Authority
	case l.Unmet != "":
		return "pods attested by " + l.Authority + " that do not meet: " + l.Unmet
	}
	return "pods attested by " + l.Authority
}

// Losses returns which tokens may meet before and not after, and none if each token that meets
// before meets after. Like [Diff], it does not recognise all ways to say the same.
func Losses(before, after *Policy) []Loss {
	old, now := byAuthority(before), byAuthority(after)
	var losses []Loss
	for _, root := range before.roots {
		name := withoutSlash(root.Authority)
		a, found := old[name]
		if !found {
			continue // the authority is named twice
		}
		delete(old, name)
		if b, has := now[name]; has {
			losses = append(losses, lost(excerpt.Of(name), needed(a), needed(b))...)
		} else {
			losses = append(losses, Loss{Authority: excerpt.Of(name)})
		}
	}
	return losses
}

// lost returns the losses by conditions that are required now and were not before.
func lost(authority string, old, now []Condition) (losses []Loss) {
	for _, required := range missing(now, old) {
		if slices.ContainsFunc(old, required.follows) {
			continue
		}
		at := slices.IndexFunc(old, func(c Condition) bool {
			claim, ok := required.list()
			return ok && c.lists(claim)
		})
		if at < 0 {
			losses = append(losses, Loss{Authority: authority, Unmet: required.String()})
			continue
		}
		old[at].each(func(c Condition) {
			if !required.admits(c.Claim, c.Value) {
				losses = append(losses, Loss{Authority: authority, Claim: c.Claim, Value: c.Value.Text})
			}
		})
	}
	return losses
}

// list returns the claim of which the condition only lists values.
func (c Condition) list() (claim string, ok bool) {
	claim = c.Claim
	if c.Kind != Claim {
		claim = c.Conditions[0].Claim
	}
	return claim, c.lists(claim)
}

// follows reports whether each token that meets given also meets c, as far as lists of values and
// minima show it.
func (c Condition) follows(given Condition) bool {
	if key(c) == key(given) {
		return true
	}
	switch {
	case c.Kind == AllOf:
		return all(c.Conditions, func(member Condition) bool { return member.follows(given) })
	case given.Kind == AnyOf:
		return all(given.Conditions, c.follows)
	case given.Kind == AllOf && slices.ContainsFunc(given.Conditions, c.follows):
		return true
	case c.Kind == AnyOf:
		return slices.ContainsFunc(c.Conditions, func(member Condition) bool { return member.follows(given) })
	case c.Kind == Claim && given.Kind == Claim && c.Claim == given.Claim:
		return c.followsFrom(given)
	}
	return false
}

// followsFrom compares two comparisons of one claim.
func (c Condition) followsFrom(given Condition) bool {
	if given.Operator == Equals {
		return c.met(&actual{text: given.Value.Text, scalar: true, found: true})
	}
	order, ok := compareIntegers(given.Value.Text, c.Value.Text)
	switch {
	case !ok || given.Operator != c.Operator:
		return false
	case c.Operator == GreaterOrEquals || c.Operator == Greater:
		return order >= 0
	case c.Operator == LessOrEquals || c.Operator == Less:
		return order <= 0
	}
	return false
}

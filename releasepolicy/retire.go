package releasepolicy

import (
	"fmt"
	"slices"

	"skr/internal/excerpt"
)

// Retire returns the policy that does not admit tokens whose claim has one of the values. It
// removes the values from lists, branches that require them, and authorities that have no other
// way to be met. If nothing admits the values, it returns p.
//
// It returns [ErrShape] if an authority also admits a value by a condition that does not name
// it, and [ErrLast] if no authority would be left.
func (p *Policy) Retire(claim string, values ...string) (*Policy, error) {
	roots := p.roots
	for _, value := range values {
		var kept []Condition
		for _, root := range roots {
			rest, ok := root.without(claim, value)
			if ok && rest.admits(claim, Text(value)) {
				return nil, fmt.Errorf("retiring %s %s: the authority %s admits it by a condition that does not name it: %w",
					excerpt.Of(claim), excerpt.Word(value), excerpt.Of(root.Authority), ErrShape)
			}
			if ok {
				kept = append(kept, rest)
			}
		}
		if len(kept) == 0 {
			return nil, fmt.Errorf("retiring %s %s: %w", excerpt.Of(claim), excerpt.Word(value), ErrLast)
		}
		roots = kept
	}
	return p.changed(roots)
}

// RetireAuthority returns the policy without the authority. It returns p if the policy does not
// trust it, and [ErrLast] if it trusts no other.
func (p *Policy) RetireAuthority(name string) (*Policy, error) {
	kept := slices.DeleteFunc(slices.Clone(p.roots), func(root Condition) bool { return sameAuthority(root.Authority, name) })
	if len(kept) == 0 {
		return nil, fmt.Errorf("retiring the authority %s: %w", excerpt.Of(name), ErrLast)
	}
	return p.changed(kept)
}

// without returns the condition for tokens whose claim does not have the value. ok is false if
// none of them meets it.
func (c Condition) without(claim, value string) (rest Condition, ok bool) {
	if c.Kind == Claim {
		return c, c.Claim != claim || c.Operator != Equals || c.Value.Text != value
	}
	kept := make([]Condition, 0, len(c.Conditions))
	for _, member := range c.Conditions {
		inner, ok := member.without(claim, value)
		switch {
		case ok:
			kept = append(kept, inner)
		case c.Kind == AllOf:
			return c, false
		}
	}
	if len(kept) == 1 && len(c.Conditions) > 1 && c.Authority == "" {
		return kept[0], true
	}
	c.Conditions = kept
	return c, len(kept) > 0
}

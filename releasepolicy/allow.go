package releasepolicy

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"skr/internal/excerpt"
)

// ErrShape is the error of a change that the conditions of a policy do not permit: write the
// whole policy instead.
var ErrShape = errors.New("the conditions cannot be changed one by one; write the whole policy instead")

// ErrLast is the error of a change after which no token could meet the policy.
var ErrLast = errors.New("no token could meet the policy any more; disable or delete the key instead")

var errUTF8 = errors.New("it is not UTF-8")

// Allow returns the policy that also admits tokens whose claim has one of the values: each
// authority's list of values for the claim gets those that it does not admit yet. Other
// conditions stay. If nothing is missing, it returns p.
//
// It returns [ErrShape] if an authority decides about the claim in branches, because it is then
// open which branch the values belong to.
func (p *Policy) Allow(claim string, values ...string) (*Policy, error) {
	roots := slices.Clone(p.roots)
	for _, value := range values {
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("allowing %s %s: %w", excerpt.Of(claim), excerpt.Word(value), errUTF8)
		}
		for i, root := range roots {
			if root.admits(claim, Text(value)) {
				continue
			}
			grown, found := root.with(claim, value)
			if !found || !grown.admits(claim, Text(value)) {
				return nil, fmt.Errorf("allowing %s %s for the authority %s: %w",
					excerpt.Of(claim), excerpt.Word(value), excerpt.Of(root.Authority), ErrShape)
			}
			roots[i] = grown
		}
	}
	return p.changed(roots)
}

// AllowAuthority returns the policy that also trusts the authority, under the conditions of the
// others. It returns p if the policy trusts it already, and [ErrShape] if the others have
// different conditions.
func (p *Policy) AllowAuthority(name string) (*Policy, error) {
	if _, found := p.Authority(name); found {
		return p, nil
	}
	if !utf8.ValidString(name) {
		return nil, fmt.Errorf("allowing the authority %s: %w", excerpt.Of(name), errUTF8)
	}
	for _, root := range p.roots[1:] {
		if key(simplify(root)) != key(simplify(p.roots[0])) {
			return nil, fmt.Errorf("allowing the authority %s: the authorities of this policy have different conditions: %w",
				excerpt.Of(name), ErrShape)
		}
	}
	added := p.roots[0]
	added.Authority = name
	return p.changed(append(slices.Clone(p.roots), added))
}

// changed returns the policy with other authorities and the same version.
func (p *Policy) changed(roots []Condition) (*Policy, error) {
	if slices.EqualFunc(roots, p.roots, func(a, b Condition) bool { return a.Authority == b.Authority && key(a) == key(b) }) {
		return p, nil
	}
	return Parse(format(p.version, roots))
}

// with returns the condition with one more value in each list of values for the claim that must
// be met. found is false if there is no such list.
func (c Condition) with(claim, value string) (grown Condition, found bool) {
	leaf := Condition{Kind: Claim, Claim: claim, Operator: Equals, Value: Text(value)}
	switch {
	case c.lists(claim) && c.admits(claim, leaf.Value):
		return c, true
	case c.lists(claim) && c.Kind == AnyOf:
		c.Conditions = append(slices.Clip(c.Conditions), leaf)
		return c, true
	case c.lists(claim) && c.Kind == Claim:
		return Condition{Kind: AnyOf, Conditions: []Condition{c, leaf}}, true
	case c.Kind == Claim, c.Kind == AnyOf && len(c.Conditions) > 1:
		return c, false
	}
	c.Conditions = slices.Clone(c.Conditions)
	for i, member := range c.Conditions {
		if inner, ok := member.with(claim, value); ok {
			c.Conditions[i], found = inner, true
		}
	}
	return c, found
}

// lists reports whether the condition only lists values of the claim, any of which is enough.
func (c Condition) lists(claim string) bool {
	if c.Kind == Claim {
		return c.Claim == claim && c.Operator == Equals
	}
	return c.Kind == AnyOf && !slices.ContainsFunc(c.Conditions, func(member Condition) bool {
		return member.Kind != Claim || !member.lists(claim)
	})
}

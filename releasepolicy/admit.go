package releasepolicy

import "slices"

// Admits returns the authorities whose conditions leave room for a token with this value of the
// claim, in the policy's order and spelling. Conditions on other claims are taken as met.
func (p *Policy) Admits(claim, value string) (authorities []string) {
	for _, root := range p.roots {
		if root.admits(claim, Text(value)) {
			authorities = append(authorities, root.Authority)
		}
	}
	return authorities
}

// Listed returns the values that the policy names for the claim and admits, sorted. all is true
// if an authority also admits values that the policy does not name.
func (p *Policy) Listed(claim string) (values []string, all bool) {
	for _, root := range p.roots {
		root.each(func(c Condition) {
			if c.Claim == claim && c.Operator == Equals && len(p.Admits(claim, c.Value.Text)) > 0 {
				values = append(values, c.Value.Text)
			}
		})
		all = all || root.open(claim)
	}
	slices.Sort(values)
	return slices.Compact(values), all
}

// open reports whether the condition can be met by a value of the claim that no list names.
func (c Condition) open(claim string) bool {
	switch c.Kind {
	case Claim:
		return c.Claim != claim || c.Operator != Equals && (c.Operator != Exists || c.Value.Text == "true")
	case AnyOf:
		return slices.ContainsFunc(c.Conditions, func(member Condition) bool { return member.open(claim) })
	}
	return all(c.Conditions, func(member Condition) bool { return member.open(claim) })
}

// Requires reports whether no token without the claim meets the authority's conditions. It
// reports false for an authority that the policy does not trust.
func (p *Policy) Requires(authority, claim string) bool {
	requires := false
	for _, root := range p.roots {
		if sameAuthority(root.Authority, authority) {
			requires = !root.possible(claim, &actual{})
			if !requires {
				return false
			}
		}
	}
	return requires
}

// Claims returns the claims that the policy compares, sorted.
func (p *Policy) Claims() (names []string) {
	for _, root := range p.roots {
		root.each(func(c Condition) { names = append(names, c.Claim) })
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c Condition) admits(claim string, value Value) bool {
	return c.possible(claim, &actual{text: value.Text, scalar: true, found: true})
}

// possible reports whether the condition can be met while the claim has this value. Other claims
// may have any value.
func (c Condition) possible(claim string, value *actual) bool {
	impossible := func(member Condition) bool { return !member.possible(claim, value) }
	switch c.Kind {
	case Claim:
		return c.Claim != claim || c.met(value)
	case AnyOf:
		return !all(c.Conditions, impossible)
	}
	return !slices.ContainsFunc(c.Conditions, impossible)
}

func all(conditions []Condition, holds func(Condition) bool) bool {
	return !slices.ContainsFunc(conditions, func(c Condition) bool { return !holds(c) })
}

// each calls visit for each comparison.
func (c Condition) each(visit func(Condition)) {
	if c.Kind == Claim {
		visit(c)
	}
	for _, member := range c.Conditions {
		member.each(visit)
	}
}

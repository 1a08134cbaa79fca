package releasepolicy

import (
	"slices"
	"strconv"
)

// Widening is a claim about which a policy demands less than its predecessor.
type Widening struct {
	// Authority whose conditions demand less.
	Authority Condition
	Claim     string
	// Dropped is true if tokens without the claim are admitted, and were not before.
	Dropped bool
	// Value is otherwise an example of what is admitted, was not before, and no list names.
	Value string
}

// Widenings returns the claims about which after demands less than before, in its order. A value
// that was added to a list is not among them. An authority that before does not trust is compared
// with those that it trusts.
func Widenings(before, after *Policy) (found []Widening) {
	claims := before.Claims()
	for _, root := range after.roots {
		old := before.counterparts(root.Authority)
		for _, claim := range claims {
			w := Widening{Authority: root, Claim: claim}
			if w.Dropped = drops(old, root, claim); !w.Dropped {
				w.Value = unlisted(old, root, claim)
			}
			if w.Dropped || w.Value != "" {
				found = append(found, w)
			}
		}
	}
	return found
}

// counterparts returns the conditions of the authority, or of all authorities if the policy does
// not trust it.
func (p *Policy) counterparts(authority string) []Condition {
	if _, found := p.Authority(authority); !found {
		return p.roots
	}
	return slices.DeleteFunc(slices.Clone(p.roots), func(root Condition) bool { return !sameAuthority(root.Authority, authority) })
}

func drops(old []Condition, now Condition, claim string) bool {
	without := func(c Condition) bool { return c.possible(claim, &actual{}) }
	return without(now) && !slices.ContainsFunc(old, without)
}

// unlisted returns a value that now admits, does not name, and none of old admits; "" without one.
func unlisted(old []Condition, now Condition, claim string) string {
	candidates := namedValues(append(slices.Clone(old), now), claim)
	for _, text := range slices.Clone(candidates) {
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			candidates = append(candidates, strconv.FormatInt(n-1, 10), strconv.FormatInt(n+1, 10))
		}
	}
	candidates = append(candidates, "any other")
	for _, text := range candidates {
		isAdmitted := func(c Condition) bool { return c.admits(claim, Text(text)) }
		if isAdmitted(now) && !now.listsValue(claim, text) && !slices.ContainsFunc(old, isAdmitted) {
			return text
		}
	}
	return ""
}

// listsValue reports whether a comparison of the condition is equals with this value.
func (c Condition) listsValue(claim, text string) (found bool) {
	c.each(func(leaf Condition) {
		found = found || leaf.Claim == claim && leaf.Operator == Equals && leaf.Value.Text == text
	})
	return found
}

// namedValues returns the values that the conditions compare the claim with.
func namedValues(conditions []Condition, claim string) (values []string) {
	for _, c := range conditions {
		c.each(func(leaf Condition) {
			if leaf.Claim == claim {
				values = append(values, leaf.Value.Text)
			}
		})
	}
	return values
}

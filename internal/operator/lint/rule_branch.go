package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"skr/releasepolicy"
)

// known has the comparisons that hold in a branch, by topic: those of the allOf groups around
// it.
type known map[string][]releasepolicy.Condition

// relation reports a comparison if it stands in some relation to one that holds already.
type relation func(in *inspection, before, c releasepolicy.Condition) (reported bool)

func contradiction(in *inspection) {
	in.relate(func(in *inspection, before, c releasepolicy.Condition) bool {
		if !conflict(before, c) {
			return false
		}
		in.report(c, fmt.Sprintf("this branch can never be met: %s here, and %s in line %d", c, before, before.Line),
			"join the two with anyOf, or remove one")
		return true
	})
}

func duplicateCondition(in *inspection) {
	in.relate(func(in *inspection, before, c releasepolicy.Condition) bool {
		if !same(before, c) {
			return false
		}
		in.report(c, fmt.Sprintf("%s stands in line %d already", c, before.Line), "remove it")
		return true
	})
}

func (in *inspection) relate(check relation) {
	for _, r := range in.roots {
		in.branch(r.Condition, known{}, check)
	}
}

// branch calls check for each comparison below c with those that hold there.
func (in *inspection) branch(c releasepolicy.Condition, holds known, check relation) {
	if c.Kind == releasepolicy.AnyOf {
		in.alternatives(c, holds, check)
		return
	}
	members := conjuncts(c)
	for _, member := range members {
		if member.Kind == releasepolicy.Claim {
			in.relateAll(member, holds[topic(member.Claim)], check)
			holds[topic(member.Claim)] = append(holds[topic(member.Claim)], member)
		}
	}
	for _, member := range members {
		if member.Kind == releasepolicy.AnyOf {
			in.alternatives(member, holds, check)
		}
	}
	for _, member := range members { // what holds here does not hold in siblings
		if member.Kind == releasepolicy.Claim {
			holds[topic(member.Claim)] = holds[topic(member.Claim)][:len(holds[topic(member.Claim)])-1]
		}
	}
}

// alternatives compares the members of a group of any with what holds. They do not
// contradict each other, but one may stand twice.
func (in *inspection) alternatives(c releasepolicy.Condition, holds known, check relation) {
	siblings := make(map[[3]string]releasepolicy.Condition) // by claim, operator and value
	for _, member := range c.Conditions {
		if member.Kind != releasepolicy.Claim {
			in.branch(member, holds, check)
			continue
		}
		meaning := [3]string{member.Claim, string(member.Operator), member.Value.Text}
		before, twice := siblings[meaning]
		if twice && check(in, before, member) {
			continue
		}
		siblings[meaning] = member
		in.relateAll(member, holds[topic(member.Claim)], check)
	}
}

// relateAll calls check for c with each of the comparisons before, until one is reported.
func (in *inspection) relateAll(c releasepolicy.Condition, before []releasepolicy.Condition, check relation) {
	for _, b := range before {
		if check(in, b, c) {
			return
		}
	}
}

// conjuncts returns the members of a group of all, and of such groups directly within it.
func conjuncts(c releasepolicy.Condition) []releasepolicy.Condition {
	if c.Kind != releasepolicy.AllOf {
		return []releasepolicy.Condition{c}
	}
	var all []releasepolicy.Condition
	for _, member := range c.Conditions {
		all = append(all, conjuncts(member)...)
	}
	return all
}

// maxCompared bounds how many pairs of conditions are compared. Of a policy that needs more,
// only a part is compared.
const maxCompared = 1 << 17

// shadowedBranch compares the members of each group of any, and the authorities of one name,
// which are alternatives too.
func shadowedBranch(in *inspection) {
	byName := make(map[string][]releasepolicy.Condition)
	for _, r := range in.roots {
		name := strings.TrimSuffix(r.Authority, "/")
		byName[name] = append(byName[name], r.Condition)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		in.shadows(byName[name])
	}
	for _, r := range in.roots {
		in.shadowsWithin(r.Condition)
	}
}

func (in *inspection) shadowsWithin(c releasepolicy.Condition) {
	if c.Kind == releasepolicy.AnyOf {
		in.shadows(c.Conditions)
	}
	for _, member := range c.Conditions {
		in.shadowsWithin(member)
	}
}

func (in *inspection) shadows(siblings []releasepolicy.Condition) {
	for i, c := range siblings {
		for j, other := range siblings {
			if in.compared > maxCompared {
				return
			}
			if i == j || same(c, other) || !in.narrower(c, other) || j > i && in.narrower(other, c) {
				continue
			}
			in.report(c, fmt.Sprintf("this branch adds nothing: the one in line %d is met whenever it is", other.Line),
				"remove it, or the other one if this was meant to be needed")
			break
		}
	}
}

// narrower reports whether every token that meets c meets other, as far as their comparisons
// show.
func (in *inspection) narrower(c, other releasepolicy.Condition) bool {
	if in.compared++; in.compared > maxCompared {
		return false
	}
	have := conjuncts(c)
	for _, needed := range conjuncts(other) {
		if !slices.ContainsFunc(have, func(h releasepolicy.Condition) bool { return in.implies(h, needed) }) {
			return false
		}
	}
	return true
}

// implies reports whether every token that meets a meets b.
func (in *inspection) implies(a, b releasepolicy.Condition) bool {
	in.compared++
	switch {
	case a.Kind == releasepolicy.Claim && b.Kind == releasepolicy.Claim:
		return a.Claim == b.Claim && implies(a, b)
	case a.Kind == releasepolicy.AnyOf && b.Kind == releasepolicy.AnyOf:
		return !slices.ContainsFunc(a.Conditions, func(one releasepolicy.Condition) bool { return !in.anyNarrower(one, b) })
	case b.Kind == releasepolicy.AnyOf:
		return in.anyNarrower(a, b)
	}
	return false
}

func (in *inspection) anyNarrower(a, group releasepolicy.Condition) bool {
	return slices.ContainsFunc(group.Conditions, func(b releasepolicy.Condition) bool { return in.narrower(a, b) })
}

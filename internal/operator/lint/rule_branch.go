package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"skr/releasepolicy"
)

// known are the comparisons that hold in a branch: those of the groups of all
// around it. By claim.
type known map[string][]releasepolicy.Condition

// relation of a comparison to one that holds already.
type relation func(in *inspection, before, n releasepolicy.Condition) (told bool)

func contradiction(in *inspection) {
	in.relate(func(in *inspection, before, n releasepolicy.Condition) bool {
		if !conflict(before, n) {
			return false
		}
		in.report(n, fmt.Sprintf("this branch can never be met: %s here, and %s in line %d", n, before, before.Line),
			"join the two with anyOf, or remove one")
		return true
	})
}

func duplicateCondition(in *inspection) {
	in.relate(func(in *inspection, before, n releasepolicy.Condition) bool {
		if !same(before, n) {
			return false
		}
		in.report(n, fmt.Sprintf("%s stands in line %d already", n, before.Line), "remove it")
		return true
	})
}

func (in *inspection) relate(tell relation) {
	for _, r := range in.roots {
		in.branch(r.Condition, known{}, tell)
	}
}

// branch tells each comparison below n that is related to one that holds there.
func (in *inspection) branch(n releasepolicy.Condition, holds known, tell relation) {
	if n.Kind == releasepolicy.AnyOf {
		in.alternatives(n, holds, tell)
		return
	}
	members := conjuncts(n)
	for _, member := range members {
		if member.Kind == releasepolicy.Claim {
			in.tell(member, holds[member.Claim], tell)
			holds[member.Claim] = append(holds[member.Claim], member)
		}
	}
	for _, member := range members {
		if member.Kind == releasepolicy.AnyOf {
			in.alternatives(member, holds, tell)
		}
	}
	for _, member := range members { // what holds here holds in no sibling
		if member.Kind == releasepolicy.Claim {
			holds[member.Claim] = holds[member.Claim][:len(holds[member.Claim])-1]
		}
	}
}

// alternatives exclude each other nowhere, but may stand twice.
func (in *inspection) alternatives(n releasepolicy.Condition, holds known, tell relation) {
	siblings := make(map[[3]string]releasepolicy.Condition) // by claim, operator and value
	for _, member := range n.Conditions {
		if member.Kind != releasepolicy.Claim {
			in.branch(member, holds, tell)
			continue
		}
		meaning := [3]string{member.Claim, string(member.Operator), member.Value.Text}
		before, twice := siblings[meaning]
		if twice && tell(in, before, member) {
			continue
		}
		siblings[meaning] = member
		in.tell(member, holds[member.Claim], tell)
	}
}

func (in *inspection) tell(n releasepolicy.Condition, before []releasepolicy.Condition, tell relation) {
	for _, b := range before {
		if tell(in, b, n) {
			return
		}
	}
}

// conjuncts are the members of a group of all, and of those directly within it.
func conjuncts(n releasepolicy.Condition) []releasepolicy.Condition {
	if n.Kind != releasepolicy.AllOf {
		return []releasepolicy.Condition{n}
	}
	var all []releasepolicy.Condition
	for _, member := range n.Conditions {
		all = append(all, conjuncts(member)...)
	}
	return all
}

// maxCompared bounds how many pairs of conditions are compared; a policy that needs
// more is judged in part.
const maxCompared = 1 << 17

// shadowedBranch compares the members of each group of any, and authorities of one
// name, which are alternatives too.
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

func (in *inspection) shadowsWithin(n releasepolicy.Condition) {
	if n.Kind == releasepolicy.AnyOf {
		in.shadows(n.Conditions)
	}
	for _, member := range n.Conditions {
		in.shadowsWithin(member)
	}
}

func (in *inspection) shadows(siblings []releasepolicy.Condition) {
	for i, n := range siblings {
		for j, other := range siblings {
			if in.compared > maxCompared {
				return
			}
			if i == j || same(n, other) || !in.narrower(n, other) || j > i && in.narrower(other, n) {
				continue
			}
			in.report(n, fmt.Sprintf("this branch adds nothing: the one in line %d is met whenever it is", other.Line),
				"remove it, or the other one if this was meant to be needed")
			break
		}
	}
}

// narrower says whether other is met whenever n is, as far as their comparisons show.
func (in *inspection) narrower(n, other releasepolicy.Condition) bool {
	if in.compared++; in.compared > maxCompared {
		return false
	}
	have := conjuncts(n)
	for _, needed := range conjuncts(other) {
		if !slices.ContainsFunc(have, func(h releasepolicy.Condition) bool { return in.implies(h, needed) }) {
			return false
		}
	}
	return true
}

// implies says whether b is met by every token that meets a.
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

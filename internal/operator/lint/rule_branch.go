package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"skr/hsm"
)

// known are the comparisons that hold in a branch: those of the groups of all
// around it. By claim.
type known map[string][]hsm.Node

// relation of a comparison to one that holds already.
type relation func(in *inspection, before, n hsm.Node) (told bool)

func contradiction(in *inspection) {
	in.relate(func(in *inspection, before, n hsm.Node) bool {
		if !conflict(before, n) {
			return false
		}
		in.report(n, fmt.Sprintf("this branch can never be met: %s here, and %s in line %d", describe(n), describe(before), before.Line),
			"join the two with anyOf, or remove one")
		return true
	})
}

func duplicateCondition(in *inspection) {
	in.relate(func(in *inspection, before, n hsm.Node) bool {
		if !same(before, n) {
			return false
		}
		in.report(n, fmt.Sprintf("%s stands in line %d already", describe(n), before.Line), "remove it")
		return true
	})
}

func (in *inspection) relate(tell relation) {
	for _, r := range in.roots {
		in.branch(r.Node, known{}, tell)
	}
}

// branch tells each comparison below n that is related to one that holds there.
func (in *inspection) branch(n hsm.Node, holds known, tell relation) {
	if n.Kind == hsm.AnyOf {
		in.alternatives(n, holds, tell)
		return
	}
	members := conjuncts(n)
	for _, member := range members {
		if member.Kind == hsm.Claim {
			in.tell(member, holds[member.Claim], tell)
			holds[member.Claim] = append(holds[member.Claim], member)
		}
	}
	for _, member := range members {
		if member.Kind == hsm.AnyOf {
			in.alternatives(member, holds, tell)
		}
	}
	for _, member := range members { // what holds here holds in no sibling
		if member.Kind == hsm.Claim {
			holds[member.Claim] = holds[member.Claim][:len(holds[member.Claim])-1]
		}
	}
}

// alternatives exclude each other nowhere, but may stand twice.
func (in *inspection) alternatives(n hsm.Node, holds known, tell relation) {
	siblings := make(map[condition]hsm.Node)
	for _, member := range n.Conditions {
		if member.Kind != hsm.Claim {
			in.branch(member, holds, tell)
			continue
		}
		before, twice := siblings[conditionOf(member)]
		if twice && tell(in, before, member) {
			continue
		}
		siblings[conditionOf(member)] = member
		in.tell(member, holds[member.Claim], tell)
	}
}

func (in *inspection) tell(n hsm.Node, before []hsm.Node, tell relation) {
	for _, b := range before {
		if tell(in, b, n) {
			return
		}
	}
}

// conjuncts are the members of a group of all, and of those directly within it.
func conjuncts(n hsm.Node) []hsm.Node {
	if n.Kind != hsm.AllOf {
		return []hsm.Node{n}
	}
	var all []hsm.Node
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
	byName := make(map[string][]hsm.Node)
	for _, r := range in.roots {
		name := strings.TrimSuffix(r.Authority, "/")
		byName[name] = append(byName[name], r.Node)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		in.shadows(byName[name])
	}
	for _, r := range in.roots {
		in.shadowsWithin(r.Node)
	}
}

func (in *inspection) shadowsWithin(n hsm.Node) {
	if n.Kind == hsm.AnyOf {
		in.shadows(n.Conditions)
	}
	for _, member := range n.Conditions {
		in.shadowsWithin(member)
	}
}

func (in *inspection) shadows(siblings []hsm.Node) {
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
func (in *inspection) narrower(n, other hsm.Node) bool {
	if in.compared++; in.compared > maxCompared {
		return false
	}
	have := conjuncts(n)
	for _, needed := range conjuncts(other) {
		if !slices.ContainsFunc(have, func(h hsm.Node) bool { return in.implies(h, needed) }) {
			return false
		}
	}
	return true
}

// implies says whether b is met by every token that meets a.
func (in *inspection) implies(a, b hsm.Node) bool {
	in.compared++
	switch {
	case a.Kind == hsm.Claim && b.Kind == hsm.Claim:
		return a.Claim == b.Claim && implies(a, b)
	case a.Kind == hsm.AnyOf && b.Kind == hsm.AnyOf:
		return !slices.ContainsFunc(a.Conditions, func(one hsm.Node) bool { return !in.anyNarrower(one, b) })
	case b.Kind == hsm.AnyOf:
		return in.anyNarrower(a, b)
	}
	return false
}

func (in *inspection) anyNarrower(a, group hsm.Node) bool {
	return slices.ContainsFunc(group.Conditions, func(b hsm.Node) bool { return in.narrower(a, b) })
}

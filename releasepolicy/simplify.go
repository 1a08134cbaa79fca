package releasepolicy

import (
	"slices"
	"strconv"
	"strings"
)

// simplify returns a condition that the same tokens meet: groups within groups of their kind
// are joined, a group of one is that one, members are sorted and stand once. Authorities and
// places are left out. Conditions that differ only in these have the same key.
func simplify(c Condition) Condition {
	if c.Kind == Claim {
		return c
	}
	members := make([]Condition, len(c.Conditions))
	for i, member := range c.Conditions {
		members[i] = simplify(member)
	}
	return join(c.Kind, members)
}

// join returns the group of simplified members.
func join(kind Kind, members []Condition) Condition {
	byKey := make(map[string]Condition)
	for _, member := range members {
		if member.Kind != kind {
			byKey[key(member)] = member
			continue
		}
		for _, inner := range member.Conditions {
			byKey[key(inner)] = inner
		}
	}
	keys := make([]string, 0, len(byKey))
	for k := range byKey {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	group := Condition{Kind: kind, Conditions: make([]Condition, len(keys))}
	for i, k := range keys {
		group.Conditions[i] = byKey[k]
	}
	if len(keys) == 1 {
		return group.Conditions[0]
	}
	return group
}

// key returns a text that simplified conditions share if they are equal, and only then.
func key(c Condition) string {
	if c.Kind == Claim {
		return strconv.Quote(c.Claim) + string(c.Operator) + strconv.Quote(c.Value.Text)
	}
	keys := make([]string, len(c.Conditions))
	for i, member := range c.Conditions {
		keys[i] = key(member)
	}
	return string(c.Kind) + "(" + strings.Join(keys, ",") + ")"
}

// needed returns the conditions that must all be met for c to be met.
func needed(c Condition) []Condition {
	if c.Kind == AllOf {
		return c.Conditions
	}
	return []Condition{c}
}

// about names the claims that a condition is about, without the values. A condition of
// another policy that is about the same is its successor.
func about(c Condition) string {
	if c.Kind == Claim {
		return c.Claim
	}
	var subjects []string
	for _, member := range c.Conditions {
		subjects = append(subjects, about(member))
	}
	slices.Sort(subjects)
	return strings.Join(slices.Compact(subjects), ",")
}

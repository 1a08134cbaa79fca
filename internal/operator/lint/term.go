package lint

import (
	"slices"
	"strconv"
	"strings"

	"skr/hsm"
)

// term is a condition in normal form: groups within groups of their kind are
// joined, groups of one are that one, members are sorted and differ. Two policies
// whose terms are equal are met by the same tokens.
type term struct {
	kind      hsm.ConditionKind
	condition condition // of a comparison
	members   []term    // of a group
	key       string    // equal for equal terms only
}

func termOf(n hsm.Node) term {
	if n.Kind == hsm.Claim {
		c := conditionOf(n)
		return term{kind: hsm.Claim, condition: c, key: strconv.Quote(c.claim) + string(c.operator) + strconv.Quote(c.value)}
	}
	members := make([]term, len(n.Conditions))
	for i, member := range n.Conditions {
		members[i] = termOf(member)
	}
	return join(n.Kind, members)
}

func join(kind hsm.ConditionKind, members []term) term {
	var all []term
	for _, member := range members {
		if member.kind == kind {
			all = append(all, member.members...)
			continue
		}
		all = append(all, member)
	}
	slices.SortFunc(all, func(a, b term) int { return strings.Compare(a.key, b.key) })
	all = slices.CompactFunc(all, func(a, b term) bool { return a.key == b.key })
	if len(all) == 1 {
		return all[0]
	}
	keys := make([]string, len(all))
	for i, member := range all {
		keys[i] = member.key
	}
	return term{kind: kind, members: all, key: string(kind) + "(" + strings.Join(keys, ",") + ")"}
}

// needed are the terms that must all be met.
func (t term) needed() []term {
	if t.kind == hsm.AllOf {
		return t.members
	}
	return []term{t}
}

// about is what a term asks, without the values: a term of another policy that asks
// the same is its successor.
func (t term) about() string {
	if t.kind == hsm.Claim {
		return t.condition.claim
	}
	var subjects []string
	for _, member := range t.members {
		subjects = append(subjects, member.about())
	}
	slices.Sort(subjects)
	return strings.Join(slices.Compact(subjects), ",")
}

func (t term) String() string {
	if t.kind == hsm.Claim {
		c := t.condition
		return excerpt(c.claim) + " " + string(c.operator) + " " + quoteUnlessPlain(c.value)
	}
	texts := make([]string, len(t.members))
	for i, member := range t.members {
		texts[i] = member.String()
	}
	return words(t.kind) + " (" + strings.Join(texts, "; ") + ")"
}

func words(kind hsm.ConditionKind) string {
	if kind == hsm.AnyOf {
		return "any of"
	}
	return "all of"
}

package releasepolicy

import (
	"maps"
	"slices"
	"strings"

	"skr/internal/excerpt"
)

// Change is one difference in meaning between two policies.
type Change struct {
	// Authority that it is about.
	Authority string `json:"authority"`
	// Before and After are conditions in words. Before is empty for what was added, After for
	// what was removed. An authority that was added or removed has all its conditions here.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff returns the differences in meaning between two policies: not in the order of members,
// in spelling or in how groups nest. If it returns none, the same tokens meet both. The
// reverse does not hold: Diff does not recognise all ways to say the same.
func Diff(before, after *Policy) []Change {
	old, now := byAuthority(before), byAuthority(after)
	names := slices.Collect(maps.Keys(old))
	names = slices.AppendSeq(names, maps.Keys(now))
	slices.Sort(names)
	var changes []Change
	for _, name := range slices.Compact(names) {
		a, had := old[name]
		b, has := now[name]
		switch shown := excerpt.Of(name); {
		case !has:
			changes = append(changes, Change{Authority: shown, Before: a.String()})
		case !had:
			changes = append(changes, Change{Authority: shown, After: b.String()})
		case key(a) != key(b):
			changes = append(changes, compare(shown, needed(a), needed(b))...)
		}
	}
	return changes
}

// byAuthority returns the simplified conditions of each authority. Those of an authority that
// stands twice are alternatives.
func byAuthority(p *Policy) map[string]Condition {
	all := make(map[string]Condition)
	for _, root := range p.roots {
		name := strings.TrimSuffix(root.Authority, "/")
		c := simplify(root)
		if before, twice := all[name]; twice {
			c = join(AnyOf, []Condition{before, c})
		}
		all[name] = c
	}
	return all
}

// compare pairs a condition that was removed with one that was added and is about the same.
func compare(authority string, old, now []Condition) []Change {
	removed, added := missing(old, now), missing(now, old)
	var changes []Change
	for _, c := range removed {
		change := Change{Authority: authority, Before: c.String()}
		subject := about(c)
		i := slices.IndexFunc(added, func(other Condition) bool { return about(other) == subject })
		if i >= 0 {
			change.After = added[i].String()
			added = slices.Delete(added, i, i+1)
		}
		changes = append(changes, change)
	}
	for _, c := range added {
		changes = append(changes, Change{Authority: authority, After: c.String()})
	}
	return changes
}

// missing returns the conditions of a that b lacks.
func missing(a, b []Condition) []Condition {
	keys := make(map[string]bool, len(b))
	for _, c := range b {
		keys[key(c)] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(c Condition) bool { return keys[key(c)] })
}

package lint

import (
	"maps"
	"slices"
	"strings"

	"skr/hsm"
)

// Change is one difference of meaning between two policies.
type Change struct {
	// Authority that it is about.
	Authority string `json:"authority"`
	// Before and After are conditions in words. Before is "" for what was added,
	// After for what was removed. Both say "all of (…)" for an authority as a whole.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff tells what differs in meaning between two policies: not their order, their
// spelling or how their groups nest. Without a change the same tokens meet both; the
// reverse does not hold, as some ways to say one thing differ too much.
func Diff(before, after *hsm.ReleasePolicy) []Change {
	a, b := termsByAuthority(before), termsByAuthority(after)
	names := slices.Collect(maps.Keys(a))
	names = slices.AppendSeq(names, maps.Keys(b))
	slices.Sort(names)
	var changes []Change
	for _, name := range slices.Compact(names) {
		old, had := a[name]
		now, has := b[name]
		switch {
		case !has:
			changes = append(changes, Change{Authority: name, Before: old.String()})
		case !had:
			changes = append(changes, Change{Authority: name, After: now.String()})
		case old.key != now.key:
			changes = append(changes, compare(name, old.needed(), now.needed())...)
		}
	}
	for i := range changes {
		changes[i].Authority = excerpt(changes[i].Authority)
	}
	return changes
}

// termsByAuthority joins what stands in several places about one authority.
func termsByAuthority(p *hsm.ReleasePolicy) map[string]term {
	all := make(map[string]term)
	for _, tree := range p.Tree() {
		name := strings.TrimSuffix(tree.Authority, "/")
		t := termOf(hsm.Node{Kind: tree.Kind, Conditions: tree.Conditions})
		if before, twice := all[name]; twice {
			t = join(hsm.AnyOf, []term{before, t})
		}
		all[name] = t
	}
	return all
}

// compare pairs what differs by what it is about.
func compare(authority string, old, now []term) []Change {
	removed, added := missing(old, now), missing(now, old)
	var changes []Change
	for _, t := range removed {
		c := Change{Authority: authority, Before: t.String()}
		i := slices.IndexFunc(added, func(other term) bool { return other.about() == t.about() })
		if i >= 0 {
			c.After = added[i].String()
			added = slices.Delete(added, i, i+1)
		}
		changes = append(changes, c)
	}
	for _, t := range added {
		changes = append(changes, Change{Authority: authority, After: t.String()})
	}
	return changes
}

// missing are those of a that b lacks.
func missing(a, b []term) []term {
	keys := make(map[string]bool, len(b))
	for _, t := range b {
		keys[t.key] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(t term) bool { return keys[t.key] })
}

package config

import (
	"slices"
	"testing"
)

// Every row of the table is in a group that help shows.
func TestGroups(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range table() {
		if !slices.Contains(AllGroups, row.group) && row.group != Logging {
			t.Errorf("help shows no group with the setting %q", row.name)
		}
		if seen[row.name] {
			t.Errorf("the setting %q has two rows", row.name)
		}
		seen[row.name] = true
	}
}

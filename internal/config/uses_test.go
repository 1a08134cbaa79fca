package config

import (
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

// Every setting is in one group.
func TestGroups(t *testing.T) {
	new(Settings).Flags().VisitAll(func(flag *pflag.Flag) {
		in := 0
		for _, g := range append(slices.Clip(AllGroups), Logging) {
			if slices.Contains(g.Flags, flag.Name) {
				in++
			}
		}
		if in != 1 {
			t.Errorf("the setting %q is in %d groups", flag.Name, in)
		}
	})
}

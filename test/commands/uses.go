package commands

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/cli"
	"skr/internal/config"
)

// CheckUses fails unless each command of the program has a row in [config.Uses], each row has
// a command, and no command has a flag of its own with the name of a setting: one of the two
// would never be set.
func CheckUses(t *testing.T, root *cobra.Command) {
	t.Helper()
	paths := map[string]bool{}
	all := new(config.Settings).Flags()
	Walk(root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		paths[path] = true
		_, found := config.Uses[path]
		if !found && !strings.Contains(path, " completion") && cmd.Annotations[cli.Moved] == "" {
			t.Errorf("%q has no row in Uses", path)
		}
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if setting := all.Lookup(flag.Name); setting != nil && setting.Usage != flag.Usage {
				t.Errorf("%s: --%s is a flag of its own and a setting", path, flag.Name)
			}
		})
	})
	for path := range config.Uses {
		program, _, _ := strings.Cut(path, " ")
		if program == root.Name() && !paths[path] {
			t.Errorf("Uses has a row for %q, which is no command", path)
		}
	}
}

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command has a row, and every setting is in one group.
func TestUses(t *testing.T) {
	paths := map[string]bool{}
	walkCommands(rootCommand(nil, streams{}), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		paths[path] = true
		if _, found := uses[path]; !found && !strings.HasPrefix(path, "skr completion") {
			t.Errorf("%q has no row in uses", path)
		}
	})
	for path := range uses {
		if !paths[path] {
			t.Errorf("uses has a row for %q, which is no command", path)
		}
	}
	new(settings).flags().VisitAll(func(flag *pflag.Flag) {
		in := 0
		for _, g := range append(slices.Clip(allGroups), logging) {
			if slices.Contains(g.flags, flag.Name) {
				in++
			}
		}
		if in != 1 {
			t.Errorf("the setting %q is in %d groups", flag.Name, in)
		}
	})
}

// No flag of a command takes the name of a setting: one of the two would never be set.
func TestFlagsAreNoSettings(t *testing.T) {
	all := new(settings).flags()
	walkCommands(rootCommand(nil, streams{}), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if setting := all.Lookup(flag.Name); setting != nil && setting.Usage != flag.Usage {
				t.Errorf("%s: --%s is a flag of its own and a setting", cmd.CommandPath(), flag.Name)
			}
		})
	})
}

// Help shows what the command uses and nothing else, and log_level and log_file always.
func TestHelp(t *testing.T) {
	for _, c := range []struct{ args, has, lacks string }{
		{"policy check", "--strict,--log-level,--log-file,--config", "--vault-allow,--listen,--base64,--infile"},
		{"release", "--vault-allow,--kek-bits,Identity:,Vault:", "--listen ,--ops-listen,--max-stale"},
		{"agent", "--dir,--tpm,--request-timeout", "--maa-allow,--kds-url"},
		{"", "--listen ,--key-cache-ttl,--version,Fleet:", "--base64,--infile,--allow-testing"},
	} {
		var out strings.Builder
		if err := run(t.Context(), append(append([]string{"skr"}, strings.Fields(c.args)...), "--help"), nil, streams{nil, &out, &out}); err != nil {
			t.Fatal(err)
		}
		for word := range strings.SplitSeq(c.has, ",") {
			if !strings.Contains(out.String(), word) {
				t.Errorf("help of %q lacks %q:\n%s", c.args, word, &out)
			}
		}
		for word := range strings.SplitSeq(c.lacks, ",") {
			if strings.Contains(out.String(), word) {
				t.Errorf("help of %q has %q", c.args, word)
			}
		}
	}
}

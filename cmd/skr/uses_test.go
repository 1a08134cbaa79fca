package main

import (
	"strings"
	"testing"

	"skr/internal/cli"
	"skr/test/commands"
)

func TestUses(t *testing.T) { commands.CheckUses(t, rootCommand(nil, cli.Streams{})) }

// Help shows exactly the settings that the command uses, plus log_level and log_file.
func TestHelp(t *testing.T) {
	for _, c := range []struct{ args, has, lacks string }{
		{"release", "--vault-allow,--kek-bits,Identity:,Vault:", "--listen ,--ops-listen,--max-stale"},
		{"agent", "--dir,--tpm,--request-timeout", "--maa-allow,--kds-url"},
		{"version", "--sbom", "SKR_,skr config"},
		{"", "--listen ,--key-cache-ttl,--version,Fleet:,skr config", "--base64,--infile,--allow-testing"},
	} {
		var out strings.Builder
		args := append(append([]string{"skr"}, strings.Fields(c.args)...), "--help")
		if err := run(t.Context(), args, nil, cli.Streams{In: nil, Out: &out, Err: &out}); err != nil {
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

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
		{"policy check", "--strict,--log-level,--log-file,--config", "--vault-allow,--listen,--base64,--infile,SKR_,skr config"},
		{"key create", "--vault-allow,--client-id,--kty,SKR_A_B", "skr config,--listen ,--tpm,--report-source,--fleet-window"},
		{"report verify", "--amd-roots,--chain,Certificates:", "--listen ,--tpm,--report-source,--vault-allow"},
		{"show", "show FILE... | DIR,--at", "SKR_,skr config"},
		{"policy", "policy COMMAND,policy COMMAND --help", "SKR_,[flags]"},
		{"", "policy,measure,--version", "--base64,--infile,--listen ,  report ,  token ,  vtpm "},
	} {
		var out strings.Builder
		if err := run(t.Context(), append(strings.Fields(c.args), "--help"), nil, cli.Streams{In: nil, Out: &out, Err: &out}); err != nil {
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

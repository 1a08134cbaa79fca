package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

func keyShowCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var access keyAccess
	var output string
	cmd := &cobra.Command{
		Use:   "show NAME[/VERSION] --vault HOST",
		Short: "Print a key and its release policy",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.CheckOutput(output); err != nil {
				return err
			}
			key, err := access.read(cmd, args[0], env, streams)
			if err != nil {
				return err
			}
			info := describeKey(key)
			info.addLapse(key, time.Now())
			warnOfLapse(info, streams.Err)
			if output == "json" {
				info.addPublic(key)
				return json.NewEncoder(streams.Out).Encode(info)
			}
			return showKey(info, streams.Out)
		},
	}
	access.flags(cmd)
	cli.OutputFlag(cmd, &output)
	return cmd
}

func (a *keyAccess) read(cmd *cobra.Command, name string, env config.Environment, streams cli.Streams) (*provision.Key, error) {
	desk, err := openKeyDesk(cmd, env, streams)
	if err != nil {
		return nil, err
	}
	id, err := desk.parseKey(a.vault, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), desk.settings.RequestTimeout)
	defer cancel()
	vault, err := a.visit(ctx, desk, id.Vault(), streams.In)
	if err != nil {
		return nil, err
	}
	return vault.Read(ctx, id)
}

// warnOfLapse warns that a key is still released although it is not valid.
func warnOfLapse(i keyInfo, out io.Writer) {
	if i.Lapse == "" || !i.Enabled || !i.Exportable {
		return
	}
	_, _ = fmt.Fprintf(out, "skrctl: warning: the key %s, and the vault still releases it; rotate it, or disable this version to stop its release\n",
		i.Lapse) // a warning that cannot be printed is lost
}

// showKey prints the key as text. It quotes tags, which may contain any text.
func showKey(i keyInfo, out io.Writer) error {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-12s%s\n", name, text)
		}
	}
	line("key", i.Kid)
	line("type", i.kind())
	line("operations", strings.Join(i.KeyOps, ", "))
	line("enabled", yesNo(i.Enabled))
	line("exportable", yesNo(i.Exportable))
	line("created", i.Created)
	line("updated", i.Updated)
	line("not before", i.NotBefore)
	line("expires", i.Expires)
	if i.Lapse != "" {
		line("validity", "it "+i.Lapse+"; it does not encrypt, wrap or sign, and still decrypts, unwraps, verifies and is released")
	}
	for _, name := range slices.Sorted(maps.Keys(i.Tags)) {
		line("tag", fmt.Sprintf("%q = %q", name, i.Tags[name]))
	}
	line("policy", i.policyLine())
	if len(i.Policy) > 0 {
		b.WriteByte('\n')
		b.Write(indented(i.Policy))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (i keyInfo) kind() string {
	switch {
	case i.Size > 0:
		return fmt.Sprintf("%s, %d bits", i.Kty, i.Size)
	case i.Crv != "":
		return i.Kty + " on " + i.Crv
	}
	return i.Kty
}

func (i keyInfo) policyLine() string {
	state := "can be changed"
	if i.Immutable {
		state = "immutable"
	}
	switch {
	case i.PolicySHA256 == "":
		return "none: this key cannot be released"
	case i.PolicyError != "":
		return fmt.Sprintf("%s, SHA-256 %s, cannot be read: %q", state, i.PolicySHA256, i.PolicyError)
	}
	return fmt.Sprintf("%s, SHA-256 %s", state, i.PolicySHA256)
}

// indented returns text, which is valid JSON, with indentation.
func indented(text []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return text
	}
	return b.Bytes()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Package commands tests the command line of a program: its exit codes, and that its errors
// name no package.
package commands

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
)

// row is a command line, without the command, and how it ends.
type row struct {
	args string
	want int
}

// Rows has the outcomes of a command. A pattern with %s is run with each file that holds
// nothing that the command could use: it must end with exit code 2.
type Rows struct {
	Rows  map[string]int // exit codes by arguments
	Files []string
}

func exitFiles(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	policy := `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"false"}]}]}`
	for name, text := range map[string]string{
		"empty": "", "prose": "hello", "claims": `{"iss":"https://a.attest.azure.net","x-ms-ver":"1.0"}`,
		"policy": fmt.Sprintf(policy, "a.attest.azure.net"), "other": fmt.Sprintf(policy, "b.attest.azure.net"),
		"pod":  "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a:1}]}\n",
		"rego": "package policy\n", "boot": "ak: hcl\n", "token": "e30.e30.e30",
		"suite":   "policy: policy\ncases: [{name: a, claims: claims, released: false}]\n",
		"failing": "policy: policy\ncases: [{name: a, claims: claims, released: true}]\n",
		"annotation": `{"kid":"k","wrapped_data":"` + strings.Repeat("AAAA", 85) + `AA==","kms_endpoint":"v.vault.localhost:1",` +
			`"attester_endpoint":"a.attest.azure.net"}`,
		"report":     string(testdata.AttestationBytes),
		"containers": `[{"name":"a","id":"registry.example/a:1","layers":["` + strings.Repeat("00", 32) + `"]}]`,
		"inventory":  "vault: v.vault.localhost:1\nplatform: aci\nauthorities: [a.attest.azure.net]\nkeys: [{name: k, manifests: [rego]}]\n",
		"fragment":   "package app\nsvn := \"1\"\ncontainers := [{\"layers\": [\"00\"]}]\n", "signed": "\xd2\x84",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
}

// nowhere is an environment without devices and services.
var nowhere = config.Environment{
	"SKR_REPORT_SOURCE": "unix:/nonexistent", "SKR_TPM": "/nonexistent", "SKR_VAULT_ALLOW": "*.vault.localhost:1",
	"SKR_IMDS_URL": "http://127.0.0.1:1", "SKR_KDS_URL": "http://127.0.0.1:1", "SKR_LISTEN": "localhost:1",
}

// Program is what is tested.
type Program struct {
	Root *cobra.Command
	// Run runs the program: argv with its name.
	Run func(ctx context.Context, argv []string, env config.Environment, io cli.Streams) error
}

// CheckExitCodes fails unless each command has rows, and ends with their exit codes.
func (p Program) CheckExitCodes(t *testing.T, exitTable map[string]Rows) {
	exitFiles(t)
	tried := map[string]bool{}
	Walk(p.Root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		tried[path] = true
		table, found := exitTable[path]
		if !found || len(table.Rows) == 0 {
			t.Errorf("%q has no rows", path)
		}
		rows := []row{{"--no-such-flag", cli.ExitConfiguration}}
		for args, want := range table.Rows {
			rows = append(rows, row{args, want})
		}
		for _, pattern := range table.Files {
			for _, name := range []string{"absent", "empty", "dir"} {
				rows = append(rows, row{fmt.Sprintf(pattern, name), cli.ExitConfiguration})
			}
		}
		for _, row := range rows {
			t.Run(strings.TrimSpace(path+" "+row.args), func(t *testing.T) { p.checkExit(t, path, row) })
		}
	})
	for path := range exitTable {
		if !tried[path] {
			t.Errorf("there is no command %q", path)
		}
	}
}

// Walk visits the command and those below it.
func Walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, child := range cmd.Commands() {
		Walk(child, visit)
	}
}

// packageName is a package's name before what it says: "hsm: parsing …".
var packageName = regexp.MustCompile(`(?:^|[ (])(` + strings.Join(packageNames, "|") + `): `)

// packageNames are those that are no words of these errors; TestNoPackageNamesInErrors has all
// of ours.
var packageNames = []string{
	"admission", "artefact", "asn1", "base64", "bootpolicy", "cbor", "cose", `crypto/\w+`, `encoding/\w+`, "entra", "exec", "hex", "hostdata", "hsm",
	"http", "httpclient", "journal", "json", "jwk", "jws", "keyprovider", "keyrelease", "keywrap", "maa", `net/\w+`, "pem", "pflag", "releasepolicy",
	"secmem", "snp", `strconv\.\w+`, "tls", "toml", "tracing", "uvm", "vcek", "x509", "yaml",
}

func (p Program) checkExit(t *testing.T, path string, row row) {
	var out, errs bytes.Buffer
	argv := append(strings.Fields(path), strings.Fields(row.args)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := p.Run(ctx, argv, nowhere, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	code := cli.Report(p.Root.Name(), &errs, err)
	told := errs.String()
	if code != row.want {
		t.Errorf("exit code %d, want %d: %s", code, row.want, told)
	}
	if code != cli.ExitOK && !strings.Contains(told, p.Root.Name()+": ") {
		t.Errorf("the error is not told: %q", told)
	}
	if name := packageName.FindString(told); name != "" {
		t.Errorf("an error names the package %q: %s", name, told)
	}
	if strings.Contains(told, "configuration: --") {
		t.Errorf("a mistake in the command line is called a configuration: %s", told)
	}
}

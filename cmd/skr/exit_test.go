package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/spf13/cobra"
)

// exitRow is a command line, without the command, and how it ends.
type exitRow struct {
	args string
	want int
}

// exitRows has the outcomes of a command. A pattern with %s is run with each file that holds
// nothing that the command could use: it must end with exit code 2.
type exitRows struct {
	rows  []exitRow
	files []string
}

// exitTable has a row for each command; those of all outcomes that need services are in
// test/script and test/e2e.
var exitTable = map[string]exitRows{
	"skr": {rows: []exitRow{
		{"--version", 0}, {"--help", 0}, {"doctr", 2}, {"--listn=x", 2}, {"--listen= --grpc-listen=", 2}, {"-infile a", 2},
		{"-port nonsense", 2}, {"--log-level loud", 2}, {"--config=", 2},
	}, files: []string{"--config %s"}},
	"skr serve":  {rows: []exitRow{{"--kek-bits 1", 2}, {"--listen 0.0.0.0:1", 2}}, files: []string{"--config %s", "--ca-file %s", "--amd-roots %s"}},
	"skr config": {rows: []exitRow{{"", 0}, {"--kek-bits 1", 2}}, files: []string{"--config %s"}},
	"skr doctor": {rows: []exitRow{
		{"", 5}, {"--alias absent", 2}, {"--vault v.vault.localhost:1", 2}, {"--output xml", 2},
	}, files: []string{"--access-token-file %s --authority a.attest.azure.net --vault v.vault.localhost:1 --key k"}},
	"skr release": {rows: []exitRow{
		{named, 5}, {"", 2}, {"--alias absent", 2}, {named + " --format xml", 2}, {named + " --out dir", 2},
		{"--authority example.org --vault v.vault.localhost:1 --key k", 3}, {"--authority a.attest.azure.net --vault example.org --key k", 3},
	}, files: []string{named + " --access-token-file %s"}},
	"skr unwrap": {rows: []exitRow{{"--in annotation --out dir", 2}, {"--in annotation", 5}, {"--in prose", 2}}, files: []string{"--in %s"}},
	"skr wrap": {rows: []exitRow{{"", 2}, {"--key k --wrap-keys /absent --in prose", 2}},
		files: []string{"--key k --wrap-keys /absent --in %s"}},
	"skr healthcheck":     {rows: []exitRow{{"--wait 1ms", 4}, {"--wait soon", 2}}},
	"skr agent":           {rows: []exitRow{{"", 2}, {"--dir relative", 2}, {"--dir /tmp", 5}}},
	"skr attest":          group2,
	"skr attest raw":      {rows: []exitRow{{"--report-data 00", 5}, {"--report-data x", 2}, {"--output xml", 2}}, files: []string{"--runtime-data %s"}},
	"skr attest combined": {rows: []exitRow{{"--runtime-data prose", 5}}, files: []string{"--runtime-data %s"}},
	"skr attest maa": {rows: []exitRow{
		{"--runtime-data prose --authority a.attest.azure.net", 5}, {"--runtime-data prose --authority example.org", 3}, {"--runtime-data prose", 2},
	}, files: []string{"--authority a.attest.azure.net --runtime-data %s"}},
	"skr verify": {rows: []exitRow{
		{"", 2}, {"prose", 2}, {"claims", 2}, {"policy", 2}, {"--policy=", 2}, {"report --vault v.vault.azure.net", 2}, {"token --runtime-data prose", 2},
	}, files: []string{
		"%s", "report --chain %s", "report --runtime-data %s", "token --policy %s --authority a.attest.azure.net",
		"token --signing-keys %s --authority a.attest.azure.net",
	}},
	"skr report":      group2,
	"skr report show": {rows: []exitRow{{"", 5}, {"prose", 2}}, files: []string{"%s"}},
	"skr report verify": {rows: []exitRow{{"", 5}, {"prose", 2}, {"--chain=", 2}, {"-", 2}},
		files: []string{"%s", "report --chain %s", "report --runtime-data %s"}},
	"skr token":      group2,
	"skr token show": {rows: []exitRow{{"", 2}, {"claims", 0}, {"policy", 2}, {"--authority a.attest.azure.net", 5}}, files: []string{"%s"}},
	"skr token verify": {rows: []exitRow{{"", 2}, {"claims", 2}, {"--policy=", 2}},
		files: []string{"%s", "token --policy %s --authority a.attest.azure.net", "token --signing-keys %s --authority a.attest.azure.net"}},
	"skr vtpm":      group2,
	"skr vtpm show": {rows: []exitRow{{"", 5}, {"prose", 2}, {"dir", 2}, {"absent", 2}}},
	"skr vtpm verify": {rows: []exitRow{{"", 2}, {"--policy boot", 5}, {"--policy boot prose", 2}, {"--policy boot dir", 2}, {"--policy boot absent", 2}},
		files: []string{"--policy %s"}},
	"skr policy": group2,
	"skr policy new": {rows: []exitRow{{"", 2}, {newPolicyArgs, 0}, {newPolicyArgs + " --out dir", 2}},
		files: []string{adopting("workload"), adopting("report"), adopting("token")}},
	"skr policy explain": {rows: []exitRow{{"policy claims", 3}, {"policy", 2}, {"policy - -", 2}, {"- -", 2}}, files: []string{"%s claims", "policy %s"}},
	"skr policy check":   {rows: []exitRow{{"policy", 3}, {"policy --output xml", 2}, {"policy --platform mars", 2}, {"", 2}}, files: []string{"%s"}},
	"skr policy diff":    {rows: []exitRow{{"policy policy", 0}, {"policy other", 3}, {"policy", 2}}, files: []string{"policy %s", "%s policy"}},
	"skr policy measure": {rows: []exitRow{{"rego", 0}, {"", 2}}, files: []string{"%s"}},
	"skr policy test":    {rows: []exitRow{{"suite", 0}, {"failing", 3}, {"", 2}}, files: []string{"%s"}},
	"skr key":            group2,
	"skr key create": {rows: []exitRow{{"", 2}, {"k", 2}, {makeArgs, 0}, {makeArgs + " --output xml", 2}},
		files: []string{"k --dry-run --vault v.vault.localhost:1 --policy %s"}},
	"skr key import": {rows: []exitRow{{"", 2}, {"k", 2}}, files: []string{"k %s --dry-run --vault v.vault.localhost:1"}},
	"skr key show": {rows: []exitRow{{"", 2}, {"k", 2}, {"k " + withToken, 4}, {"k --vault example.org", 3}},
		files: []string{"k --vault v.vault.localhost:1 --access-token-file %s"}},
	"skr key public": {rows: []exitRow{{"", 2}, {"k", 2}, {"k " + withToken, 4}, {"k --format xml", 2}},
		files: []string{"k --vault v.vault.localhost:1 --access-token-file %s"}},
	"skr key list": {rows: []exitRow{{"", 2}, {withToken, 4}, {"surplus " + withToken, 2}},
		files: []string{"--vault v.vault.localhost:1 --access-token-file %s"}},
	"skr show":         {rows: []exitRow{{"policy", 0}, {"prose", 2}, {"policy --at noon", 2}, {"", 2}}, files: []string{"%s"}},
	"skr audit":        group2,
	"skr audit verify": {rows: []exitRow{{"prose", 6}, {"prose --output json", 6}, {"prose --head x", 2}, {"dir", 2}, {"absent", 2}, {"empty", 6}}},
	"skr version":      {rows: []exitRow{{"", 0}, {"surplus", 2}}},
	"skr help":         {rows: []exitRow{{"", 0}, {"policy check", 0}, {"polcy", 2}, {"policy chek", 2}}},
	"skr completion":   group2,

	"skr completion bash":       {rows: []exitRow{{"", 0}, {"surplus", 2}}},
	"skr completion zsh":        {rows: []exitRow{{"", 0}, {"surplus", 2}}},
	"skr completion fish":       {rows: []exitRow{{"", 0}, {"surplus", 2}}},
	"skr completion powershell": {rows: []exitRow{{"", 0}, {"surplus", 2}}},
}

const (
	named         = "--authority a.attest.azure.net --vault v.vault.localhost:1 --key k"
	hostData      = "0000000000000000000000000000000000000000000000000000000000000001"
	newPolicyArgs = "--platform aci --authority a.attest.azure.net --measurement " + hostData
	withToken     = "--vault v.vault.localhost:1 --access-token-file prose --request-timeout 1s"
	makeArgs      = "k --dry-run --vault v.vault.localhost:1 " + newPolicyArgs
)

// group2 is a command that only holds others.
var group2 = exitRows{rows: []exitRow{{"", 2}, {"verfy", 2}, {"--nonsense", 2}, {"--help", 0}}}

func adopting(flag string) string {
	return "--platform aci --authority a.attest.azure.net --" + flag + " %s"
}

func exitFiles(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	policy := `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"false"}]}]}`
	for name, text := range map[string]string{
		"empty": "", "prose": "hello", "claims": `{"iss":"https://a.attest.azure.net","x-ms-ver":"1.0"}`,
		"policy": fmt.Sprintf(policy, "a.attest.azure.net"), "other": fmt.Sprintf(policy, "b.attest.azure.net"),
		"rego": "package policy\n", "boot": "ak: hcl\n", "token": "e30.e30.e30",
		"suite":   "policy: policy\ncases: [{name: a, claims: claims, released: false}]\n",
		"failing": "policy: policy\ncases: [{name: a, claims: claims, released: true}]\n",
		"annotation": `{"kid":"k","wrapped_data":"` + strings.Repeat("AAAA", 85) + `AA==","kms_endpoint":"v.vault.localhost:1",` +
			`"attester_endpoint":"a.attest.azure.net"}`,
		"report": string(testdata.AttestationBytes),
	} {
		file(text)(t, name)
	}
	directory(t, "dir")
}

// nowhere is an environment without devices and services.
var nowhere = environment{
	"SKR_REPORT_SOURCE": "unix:/nonexistent", "SKR_TPM": "/nonexistent", "SKR_VAULT_ALLOW": "*.vault.localhost:1",
	"SKR_IMDS_URL": "http://127.0.0.1:1", "SKR_KDS_URL": "http://127.0.0.1:1", "SKR_LISTEN": "localhost:1",
}

// Each command has rows, and each ends with the exit code of its row.
func TestExitCodes(t *testing.T) {
	exitFiles(t)
	tried := map[string]bool{}
	walkCommands(rootCommand(nil, streams{}), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		tried[path] = true
		table, found := exitTable[path]
		if !found || len(table.rows) == 0 {
			t.Errorf("%q has no rows", path)
		}
		rows := append(table.rows, exitRow{"--no-such-flag", exitConfiguration})
		for _, pattern := range table.files {
			for _, name := range []string{"absent", "empty", "dir"} {
				rows = append(rows, exitRow{fmt.Sprintf(pattern, name), exitConfiguration})
			}
		}
		for _, row := range rows {
			t.Run(strings.TrimSpace(path+" "+row.args), func(t *testing.T) { checkExit(t, path, row) })
		}
	})
	for path := range exitTable {
		if !tried[path] {
			t.Errorf("there is no command %q", path)
		}
	}
}

func walkCommands(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, child := range cmd.Commands() {
		walkCommands(child, visit)
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

func checkExit(t *testing.T, path string, row exitRow) {
	var out, errs bytes.Buffer
	argv := append(strings.Fields(path), strings.Fields(row.args)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := run(ctx, argv, nowhere, streams{strings.NewReader(""), &out, &errs})
	code := report(&errs, err)
	told := errs.String()
	if code != row.want {
		t.Errorf("exit code %d, want %d: %s", code, row.want, told)
	}
	if code != exitOK && !strings.Contains(told, "skr: ") {
		t.Errorf("the error is not told: %q", told)
	}
	if name := packageName.FindString(told); name != "" {
		t.Errorf("an error names the package %q: %s", name, told)
	}
	if strings.Contains(told, "configuration: --") {
		t.Errorf("a mistake in the command line is called a configuration: %s", told)
	}
}

// No error of ours begins with the name of its package, wherever it is made.
func TestNoPackageNamesInErrors(t *testing.T) {
	for _, root := range []string{"../../attest", "../../hsm", "../../internal", "../../keyrelease", "../../api"} {
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			prefix := filepath.Base(filepath.Dir(path)) + ": "
			for _, call := range []string{`Errorf("`, `errors.New("`} {
				if strings.Contains(string(text), call+prefix) {
					t.Errorf("%s: an error begins with %q: people see it, and the name of a package tells them nothing", path, prefix)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

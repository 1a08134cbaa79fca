package main

import (
	"context"
	"testing"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/test/commands"
)

// exitTable has rows for each command. Rows for outcomes that need services are in
// test/script and test/e2e.
var exitTable = map[string]commands.Rows{
	"skrctl": {Rows: map[string]int{
		"--version": 0, "--help": 0, "": 2, "polcy": 2, "--log-level loud": 2, "--listen x": 2,
	}},
	"skrctl verify": {Rows: map[string]int{
		"": 2, "prose": 2, "claims": 2, "policy": 2, "--policy=": 2, "report --vault v.vault.azure.net": 2, "token --runtime-data prose": 2,
	}, Files: []string{
		"%s", "report --chain %s", "report --runtime-data %s", "token --policy %s --authority a.attest.azure.net",
		"token --signing-keys %s --authority a.attest.azure.net",
	}},
	"skrctl seal": {Rows: map[string]int{
		"": 2, "k": 2, "k " + withToken: 4, "k --key prose": 2, "--key prose": 2, "--key -": 2, "--sidecar http://example.org --alias a": 2,
		"--sidecar http://localhost:1": 2, "--alias a": 2,
	}, Files: []string{"--key %s"}},
	"skrctl conformance": {Rows: map[string]int{
		"--sidecar http://localhost:1": 4, "--sidecar unix:absent": 4, "--sidecar ftp://a": 2, "--sidecar localhost:8080": 2, "--sidecar=": 2,
		"--contract mars": 2, "--timeout 0s": 2, "--output xml": 2, "surplus": 2, "--vault v": 2, "--maa a --kid k": 2, "--vault v --kid k": 2,
		"--sidecar http://192.0.2.1 --maa a --vault v --kid k": 2, "--sidecar http://localhost:1 --report dir": 2, "--report=": 2,
	}},
	"skrctl report":      group2,
	"skrctl report show": {Rows: map[string]int{"": 2, "prose": 2}, Files: []string{"%s"}},
	"skrctl report verify": {Rows: map[string]int{"": 2, "prose": 2, "--chain=": 2, "-": 2},
		Files: []string{"%s", "report --chain %s", "report --runtime-data %s"}},
	"skrctl token":      group2,
	"skrctl token show": {Rows: map[string]int{"": 2, "claims": 0, "policy": 2}, Files: []string{"%s"}},
	"skrctl token verify": {Rows: map[string]int{"": 2, "claims": 2, "--policy=": 2},
		Files: []string{"%s", "token --policy %s --authority a.attest.azure.net", "token --signing-keys %s --authority a.attest.azure.net"}},
	"skrctl vtpm":      group2,
	"skrctl vtpm show": {Rows: map[string]int{"": 2, "prose": 2, "dir": 2, "absent": 2}},
	"skrctl vtpm verify": {Rows: map[string]int{"": 2, "--policy boot": 2, "--policy boot prose": 2, "--policy boot dir": 2, "--policy boot absent": 2},
		Files: []string{"--policy %s"}},
	"skrctl policy": group2,
	"skrctl policy new": {Rows: map[string]int{"": 2, newPolicyArgs: 0, newPolicyArgs + " --out dir": 2, newPolicyArgs + " --live": 2},
		Files: []string{adopting("workload"), adopting("report"), adopting("token")}},
	"skrctl policy explain": {Rows: map[string]int{"policy claims": 3, "policy": 2, "policy --live": 2, "policy - -": 2, "- -": 2},
		Files: []string{"%s claims", "policy %s"}},
	"skrctl policy check": {Rows: map[string]int{"policy": 3, "policy --output xml": 2, "policy --platform mars": 2, "": 2}, Files: []string{"%s"}},
	"skrctl policy diff":  {Rows: map[string]int{"policy policy": 0, "policy other": 3, "policy": 2}, Files: []string{"policy %s", "%s policy"}},
	"skrctl measure":      {Rows: map[string]int{"rego": 0, "": 2}, Files: []string{"%s"}},
	"skrctl inject": {Rows: map[string]int{
		"": 2, "-f pod": 2, "-f pod --platform cvm": 2, "-f pod --platform mars --image a:1": 2, "-f pod --platform cvm --image a:1": 0,
		"-f pod --platform cvm --image a:1 --out dir": 2, "-f pod --remove": 2, "-f pod --remove --image a:1": 2, "-f absent --remove": 2,
		"-f pod --platform cvm --image a:1 --settings prose": 2, "-f pod --platform cvm --image a:1 --settings absent": 2,
		"-f pod --platform cvm --image a:1 --only Pod/b": 2, "-f pod --platform cvm --image a:1 surplus": 2, "-f pod --image a:1": 2,
		"-f pod --platform cvm --image a:1 --mount keys": 2, "-f pod --platform cvm --image a:1 --user -2": 2,
	}, Files: []string{"-f %s --platform cvm --image a:1", "-f %s --remove"}},
	"skrctl migrate": {Rows: map[string]int{
		"": 2, "--to aks-cvm": 2, "-f prose --to aks-cvm": 2, "-f - --to aks-cvm": 2, "--policy policy --to aks-cvm --policy-out -": 0,
		"--policy policy --to mars --policy-out -": 2, "--policy policy --to coco --output json": 0, "--policy policy --to coco --output xml": 2,
		"-f - --policy - --to coco --output json": 2, "--policy policy --to aks-cvm --sidecar first --policy-out -": 2,
		"--policy policy --to aks-cvm --workload rego --policy-out -": 2, "--policy policy --to aci-vn2 --workload rego --policy-out -": 0,
		"--policy policy --to aci-vn2 --workload prose --policy-out -": 2, "-f prose --to aci-vn2 --workload rego": 2,
	}, Files: []string{"-f %s --to aks-cvm", "--policy %s --to aks-cvm --policy-out -"}},
	"skrctl policy measure": {Rows: map[string]int{"rego": 0, "": 2}, Files: []string{"%s"}},
	"skrctl policy test":    {Rows: map[string]int{"suite": 0, "failing": 3, "": 2}, Files: []string{"%s"}},
	"skrctl fragment":       group2,
	"skrctl fragment new": {Rows: map[string]int{
		"": 2, newFragmentArgs: 2, newFragmentArgs + " --containers containers": 0, newFragmentArgs + " --containers prose": 2,
		"--namespace policy --svn 1 --containers containers": 2, "--namespace a --svn 0 --containers containers": 2,
		newFragmentArgs + " oci:absent": 2, newFragmentArgs + " UPPER": 2, newFragmentArgs + " localhost:1/app:1": 4,
		newFragmentArgs + " --platform mars localhost:1/app:1": 2, newFragmentArgs + " --env A --containers containers": 2,
	}, Files: []string{newFragmentArgs + " --containers %s"}},
	"skrctl fragment sign": {Rows: map[string]int{
		"": 2, "fragment": 2, "fragment --key prose --chain prose --feed a/b --out x": 2, "fragment --key - --chain - --feed a/b --out x": 2,
		"fragment --key prose --chain prose --feed a/b --out x --output xml": 2,
	}, Files: []string{"fragment --key %s --chain prose --feed a/b --out x"}},
	"skrctl fragment verify": {Rows: map[string]int{"": 2, "fragment": 2, "prose": 2, "signed": 6, "- --policy -": 2, "signed --output xml": 2},
		Files: []string{"%s"}},
	"skrctl fragment show": {Rows: map[string]int{"": 2, "fragment": 0, "fragment --rego": 0, "prose": 2, "signed": 2, "fragment --output xml": 2},
		Files: []string{"%s"}},
	"skrctl fragment import-rule": {Rows: map[string]int{"": 2, "fragment": 2, "signed": 6}, Files: []string{"%s"}},
	"skrctl fragment attach": {Rows: map[string]int{"": 2, "fragment localhost:1/app:1": 2, "signed localhost:1/app:1": 6},
		Files: []string{"%s localhost:1/app:1"}},
	"skrctl fragment fetch": {Rows: map[string]int{"": 2, "localhost:1/app:1": 4, "UPPER": 2, "oci:absent": 2, "localhost:1/app:1 --output xml": 2}},
	"skrctl key":            group2,
	"skrctl key create": {Rows: map[string]int{"": 2, "k": 2, makeArgs: 0, makeArgs + " --output xml": 2},
		Files: []string{"k --dry-run --vault v.vault.localhost:1 --policy %s"}},
	"skrctl key import": {Rows: map[string]int{"": 2, "k": 2}, Files: []string{"k %s --dry-run --vault v.vault.localhost:1"}},
	"skrctl key show": {Rows: map[string]int{"": 2, "k": 2, "k " + withToken: 4, "k --vault example.org": 3},
		Files: []string{"k --vault v.vault.localhost:1 --access-token-file %s"}},
	"skrctl key public": {Rows: map[string]int{"": 2, "k": 2, "k " + withToken: 4, "k --format xml": 2},
		Files: []string{"k --vault v.vault.localhost:1 --access-token-file %s"}},
	"skrctl key rotate": {Rows: map[string]int{"": 2, "k": 2, "k " + withToken: 4, "k/" + someVersion + " " + withToken: 2},
		Files: []string{"k --vault v.vault.localhost:1 --access-token-file %s"}},
	"skrctl key enable":  jobRows("k"),
	"skrctl key disable": jobRows("k --yes"),
	"skrctl key expire":  jobRows("k --at 2030-01-31T00:00:00Z"),
	"skrctl key tag":     jobRows("k a=b"),
	"skrctl key delete":  jobRows("k --yes"),
	"skrctl key recover": jobRows("k"),
	"skrctl key purge":   jobRows("k --yes"),
	"skrctl key backup":  jobRows("k --out x --replace"),
	"skrctl key restore": {Rows: map[string]int{"": 2, "prose": 2, "prose " + withToken: 4},
		Files: []string{"%s --vault v.vault.localhost:1"}},
	"skrctl key list": {Rows: map[string]int{"": 2, withToken: 4, "surplus " + withToken: 2, "k --versions " + withToken: 4, "--deleted " + withToken: 4,
		"--versions --deleted " + withToken: 2},
		Files: []string{"--vault v.vault.localhost:1 --access-token-file %s"}},
	"skrctl key policy": group2,
	"skrctl key policy show": {Rows: map[string]int{"": 2, "k": 2, "k " + withToken: 4, "k --vault example.org": 3},
		Files: []string{"k --vault v.vault.localhost:1 --access-token-file %s"}},
	"skrctl key policy set": {Rows: map[string]int{"": 2, "k": 2, "k " + withToken: 2, "k --policy policy " + withToken: 4},
		Files: []string{"k --vault v.vault.localhost:1 --policy %s"}},
	"skrctl key policy allow": {Rows: map[string]int{
		"": 2, "k": 2, "k " + withToken: 2, "k --measurement " + hostData + " " + withToken: 4, "k --measurement " + hostData: 2,
		"k --yes --measurement " + hostData + " --vault example.org": 3, "k --accept nothing --measurement " + hostData + " " + withToken: 2,
	}, Files: []string{"k --vault v.vault.localhost:1 --workload %s"}},
	"skrctl key policy retire": {Rows: map[string]int{
		"": 2, "k": 2, "k --measurement " + hostData + " " + withToken: 4, "k --workload - --vault v.vault.localhost:1 --access-token-file -": 2,
	},
		Files: []string{"k --vault v.vault.localhost:1 --workload %s"}},
	"skrctl rollout": group2,
	"skrctl rollout plan": {Rows: map[string]int{"": 2, "rego": 2, "rego rego": 0, "rego rego --output xml": 2, "- -": 2},
		Files: []string{"rego %s", "%s rego"}},
	"skrctl rollout status": {Rows: map[string]int{"": 2, "prose": 2, "inventory " + asToken: 4, "- --access-token-file -": 2}, Files: []string{"%s"}},
	"skrctl rollout apply": {Rows: map[string]int{"": 2, "prose": 2, "inventory " + asToken: 4, "inventory --accept nothing": 2, "-": 2},
		Files: []string{"%s"}},
	"skrctl show": {Rows: map[string]int{"policy": 0, "policy claims": 0, "prose": 2, "policy prose": 2, "dir": 2, "- -": 2, "policy --at noon": 2, "": 2},
		Files: []string{"%s"}},
	"skrctl audit":        group2,
	"skrctl audit verify": {Rows: map[string]int{"prose": 6, "prose --output json": 6, "prose --head x": 2, "dir": 2, "absent": 2, "empty": 6}},
	"skrctl version":      {Rows: map[string]int{"": 0, "surplus": 2}},
	"skrctl help":         {Rows: map[string]int{"": 0, "policy check": 0, "polcy": 2, "policy chek": 2}},
	"skrctl completion":   group2,

	"skrctl completion bash":       {Rows: map[string]int{"": 0, "surplus": 2}},
	"skrctl completion zsh":        {Rows: map[string]int{"": 0, "surplus": 2}},
	"skrctl completion fish":       {Rows: map[string]int{"": 0, "surplus": 2}},
	"skrctl completion powershell": {Rows: map[string]int{"": 0, "surplus": 2}},
}

const (
	hostData        = "0000000000000000000000000000000000000000000000000000000000000001"
	newPolicyArgs   = "--platform aci --authority a.attest.azure.net --measurement " + hostData
	newFragmentArgs = "--namespace app --svn 1"
	asToken         = "--access-token-file prose --request-timeout 1s"
	withToken       = "--vault v.vault.localhost:1 " + asToken
	makeArgs        = "k --dry-run --vault v.vault.localhost:1 " + newPolicyArgs
)

// someVersion has the form of a version.
const someVersion = "0123456789abcdef0123456789abcdef"

// jobRows are the rows of a command that changes a key.
func jobRows(args string) commands.Rows {
	return commands.Rows{
		Rows:  map[string]int{"": 2, args: 2, args + " " + withToken: 4, args + " --output xml " + withToken: 2},
		Files: []string{args + " --vault v.vault.localhost:1 --access-token-file %s"},
	}
}

// group2 is a command that only groups others.
var group2 = commands.Rows{Rows: map[string]int{"": 2, "verfy": 2, "--nonsense": 2, "--help": 0}}

func adopting(flag string) string {
	return "--platform aci --authority a.attest.azure.net --" + flag + " %s"
}

func TestExitCodes(t *testing.T) {
	program := commands.Program{
		Root: rootCommand(nil, cli.Streams{}),
		Run: func(ctx context.Context, argv []string, env config.Environment, io cli.Streams) error {
			return run(ctx, argv[1:], env, io)
		},
	}
	program.CheckExitCodes(t, exitTable)
}

package main

import (
	"testing"

	"skr/internal/cli"
	"skr/test/commands"
)

// exitTable has a row for each command. Rows for outcomes that need services are in
// test/script and test/e2e.
var exitTable = map[string]commands.Rows{
	"skr": {Rows: map[string]int{
		"--version": 0, "--help": 0, "doctr": 2, "--listn=x": 2, "--listen= --grpc-listen=": 2, "-infile a": 2,
		"-port nonsense": 2, "--log-level loud": 2, "--config=": 2,
	}, Files: []string{"--config %s"}},
	"skr serve":  {Rows: map[string]int{"--kek-bits 1": 2, "--listen 0.0.0.0:1": 2}, Files: []string{"--config %s", "--ca-file %s", "--amd-roots %s"}},
	"skr config": {Rows: map[string]int{"": 0, "--kek-bits 1": 2}, Files: []string{"--config %s"}},
	"skr doctor": {Rows: map[string]int{
		"": 5, "--alias absent": 2, "--vault v.vault.localhost:1": 2, "--output xml": 2,
	}, Files: []string{"--access-token-file %s --authority a.attest.azure.net --vault v.vault.localhost:1 --key k"}},
	"skr release": {Rows: map[string]int{
		named: 5, "": 2, "--alias absent": 2, named + " --format xml": 2, named + " --out dir": 2,
		"--authority example.org --vault v.vault.localhost:1 --key k": 3, "--authority a.attest.azure.net --vault example.org --key k": 3,
	}, Files: []string{named + " --access-token-file %s"}},
	"skr exec": {Rows: map[string]int{
		"": 2, "true": 2, "--env K=a:pem": 2, "--env K=absent:pem true": 2, "--env K=:pem true": 2, "--env K:pem true": 2, "--env K=a:xml true": 2,
		"--env K=a:der true": 2, "--env 1=a:pem true": 2, "--memfd K=a:envelope: true": 2, "--env K=a:pem " + named + " true": 2,
		"--env K=:pem " + named + " true": 5, "--env K=:pem " + named + " no-such-program": 127, "--env K=:pem " + named + " ./dir": 126,
		"--env K=:pem --memfd K=:pem " + named + " true": 2, "--file /proc/k=:pem " + named + " true": 2, "--file /absent/k=:pem " + named + " true": 2,
		"--env K=:pem --owner root " + named + " true": 2, "--env K=:pem --on-rotate signal:HUP " + named + " true": 2,
		"--file /tmp/k=:pem --on-rotate signal:KILL " + named + " true": 2, "--env K=:pem --on-rotate reload " + named + " true": 2,
		"--env K=:pem --key-refresh 10ms " + named + " true": 2, "--env K=:pem --access-token-file - " + named + " true": 2,
	}, Files: []string{"--env K=:envelope:%s " + named + " true"}},
	"skr unwrap": {Rows: map[string]int{"--in annotation --out dir": 2, "--in annotation": 5, "--in prose": 2}, Files: []string{"--in %s"}},
	"skr wrap": {Rows: map[string]int{"": 2, "--key k --wrap-keys /absent --in prose": 2},
		Files: []string{"--key k --wrap-keys /absent --in %s"}},
	"skr healthcheck": {Rows: map[string]int{"--wait 1ms": 4, "--wait soon": 2}},
	"skr agent":       {Rows: map[string]int{"": 2, "--dir relative": 2, "--dir /tmp": 5}},
	"skr csi-provider": {Rows: map[string]int{
		"": 2, "--socket relative.sock": 2, "--socket /absent/skr.sock": 2, "--socket /tmp/skr": 2, "--socket /tmp/s.k.r.sock": 2,
	}},
	"skr attest":          group2,
	"skr attest raw":      {Rows: map[string]int{"--report-data 00": 5, "--report-data x": 2, "--output xml": 2}, Files: []string{"--runtime-data %s"}},
	"skr attest combined": {Rows: map[string]int{"--runtime-data prose": 5}, Files: []string{"--runtime-data %s"}},
	"skr attest maa": {Rows: map[string]int{
		"--runtime-data prose --authority a.attest.azure.net": 5, "--runtime-data prose --authority example.org": 3, "--runtime-data prose": 2,
	}, Files: []string{"--authority a.attest.azure.net --runtime-data %s"}},
	"skr policy":     movedRows,
	"skr key":        movedRows,
	"skr show":       movedRows,
	"skr report":     movedRows,
	"skr token":      movedRows,
	"skr vtpm":       movedRows,
	"skr audit":      movedRows,
	"skr version":    {Rows: map[string]int{"": 0, "surplus": 2}},
	"skr help":       {Rows: map[string]int{"": 0, "attest raw": 0, "atest": 2, "attest row": 2, "policy": 2}},
	"skr completion": group2,

	"skr completion bash":       {Rows: map[string]int{"": 0, "surplus": 2}},
	"skr completion zsh":        {Rows: map[string]int{"": 0, "surplus": 2}},
	"skr completion fish":       {Rows: map[string]int{"": 0, "surplus": 2}},
	"skr completion powershell": {Rows: map[string]int{"": 0, "surplus": 2}},
}

const named = "--authority a.attest.azure.net --vault v.vault.localhost:1 --key k"

// movedRows are rows of commands that skrctl has.
var movedRows = commands.Rows{Rows: map[string]int{"": 2, "check policy": 2, "--help": 2, "--strict x": 2}}

// group2 is a command that only groups others.
var group2 = commands.Rows{Rows: map[string]int{"": 2, "verfy": 2, "--nonsense": 2, "--help": 0}}

func TestExitCodes(t *testing.T) {
	program := commands.Program{Root: rootCommand(nil, cli.Streams{}), Run: run}
	program.CheckExitCodes(t, exitTable)
}

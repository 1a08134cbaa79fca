package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"skr/internal/cli"
	"skr/internal/observe/audit"
)

// auditFile returns an intact file, its text and its head.
func auditFile(t *testing.T) (path, text, head string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(path, "v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range []string{audit.Released, "release_rejected", "key_not_found"} {
		if err := log.Append(audit.Entry{Key: "v.vault.azure.net/keys/k", Result: result}); err != nil {
			t.Fatal(err)
		}
	}
	head = log.Head()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(data), head
}

// runAudit returns the command's output, its error line and its exit code.
func runAudit(stdin string, args ...string) (out, line string, code int) {
	var stdout, stderr bytes.Buffer
	in := iotest.OneByteReader(strings.NewReader(stdin))
	cmd := auditCommand(cli.Streams{In: in, Out: &stdout, Err: &stderr})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	code = cli.Report("skr", &stderr, cmd.Execute())
	return stdout.String(), stderr.String(), code
}

func TestAuditVerify(t *testing.T) {
	path, text, head := auditFile(t)
	const summary = ": 4 records, 1 released, 2 refused, intact, head "
	const unseen = "\nnot looked at: whether the end was cut off, or all of it written anew (no --head was given)\n"
	changed := filepath.Join(t.TempDir(), "changed.log")
	if err := os.WriteFile(changed, []byte(strings.Replace(text, `"released","prev"`, `"refused!","prev"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := text[:strings.LastIndex(text, `{"seq"`)]
	for name, c := range map[string]struct {
		stdin     string
		args      []string
		out, line string
		code      int
	}{
		"intact":               {"", []string{"verify", path}, path + summary + head + unseen, "", cli.ExitOK},
		"standard input":       {text, []string{"verify"}, "-" + summary + head + unseen, "", cli.ExitOK},
		"standard input, by -": {text, []string{"verify", "-"}, "-" + summary + head + unseen, "", cli.ExitOK},
		"with its head": {"", []string{"verify", "--head", head, path},
			path + summary + head + "\nnot looked at: whether records after that of --head were cut off\n", "", cli.ExitOK},
		"empty head": {"", []string{"verify", "--head=", path}, "", "skr: --head: the value is empty", cli.ExitConfiguration},
		"changed":    {"", []string{"verify", changed}, "", "skr: " + changed + ": line 2: was modified", cli.ExitUntrusted},
		"changed, in JSON": {
			"", []string{"verify", "--output", "json", changed},
			`{"file":"` + changed + `","intact":false,"line":2,"error":"line 2: was modified: hash mismatch"}` + "\n",
			"skr: " + changed + ": line 2: was modified", cli.ExitUntrusted,
		},
		"no file, in JSON": {
			"", []string{"verify", "--output", "json", "absent"},
			`{"file":"absent","intact":false,"error":"open absent: no such file or directory"}` + "\n", "skr: open absent", cli.ExitConfiguration,
		},
		"cut off":          {cut, []string{"verify", "--head", head}, "", "skr: -: has no record with the expected hash", cli.ExitUntrusted},
		"empty":            {"", []string{"verify"}, "", "skr: -: has no audit record", cli.ExitUntrusted},
		"no file":          {"", []string{"verify", path + "x"}, "", "skr: open", cli.ExitConfiguration},
		"a directory":      {"", []string{"verify", filepath.Dir(path)}, "", "skr: read", cli.ExitConfiguration},
		"head too short":   {"", []string{"verify", "--head", head[1:], path}, "", "skr: --head", cli.ExitConfiguration},
		"head in capitals": {"", []string{"verify", "--head", strings.Repeat("A", 64), path}, "", "skr: --head", cli.ExitConfiguration},
		"unknown output":   {"", []string{"verify", "--output", "xml", path}, "", "skr: --output", cli.ExitConfiguration},
	} {
		out, line, code := runAudit(c.stdin, c.args...)
		if out != c.out || !strings.HasPrefix(line, c.line) || (c.line == "") != (line == "") || code != c.code {
			t.Errorf("%s: prints %q, then %q, exits with %d", name, out, line, code)
		}
	}
}

// In a log, the loss of a start's last records cannot be detected, even with the last head.
// The output says so.
func TestAuditVerifyLog(t *testing.T) {
	var log bytes.Buffer
	var head string
	for range 2 {
		chain := audit.ToJSON(&log, "v1")
		if err := chain.Append(audit.Entry{Result: audit.Released}); err != nil {
			t.Fatal(err)
		}
		head = chain.Head()
	}
	kept := strings.SplitAfter(log.String(), "\n")
	cut := kept[0] + kept[2] + kept[3] // without the release of the first start
	out, _, code := runAudit(cut, "verify", "--head", head)
	if code != cli.ExitOK || !strings.Contains(out, "; whether other starts, or the ends of their records, were cut out of the log") {
		t.Errorf("exits with %d and prints %q", code, out)
	}
}

func TestAuditVerifyJSON(t *testing.T) {
	path, _, head := auditFile(t)
	out, _, code := runAudit("", "verify", "--output", "json", path)
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != cli.ExitOK {
		t.Fatalf("%v, exit code %d", err, code)
	}
	if got["file"] != path || got["intact"] != true || got["records"] != 4.0 || got["released"] != 1.0 || got["refused"] != 2.0 || got["head"] != head ||
		got["torn"] != 0.0 {
		t.Errorf("prints %s", out)
	}
}

func TestAuditSummary(t *testing.T) {
	got := auditSummary(audit.Report{Records: 9, Releases: 4, Refusals: 3, Chains: 2, Torn: 1, SetBack: 1, Head: "h"})
	if want := "9 records, 4 released, 3 refused, 2 starts, torn and mended 1 times, clock set back 1 times, intact, head h"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

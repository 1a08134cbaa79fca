package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skr/test/samples"
)

// Genuine files that were cut, modified or combined with another machine's. Each passed
// once, because the verifier skipped what it could not read or find.
func TestSampleVerdicts(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{{"verify"}, {"report", "verify"}} {
		t.Run(strings.Join(command, " "), func(t *testing.T) { sampleVerdicts(t, command) })
	}
}

func sampleVerdicts(t *testing.T, command []string) {
	const tdx, unreadable, dropped = "turn2/02-tdx-passes-with-chain/", "turn2/03-bundle-unreadable-report-passes/", "turn2/04-bundle-endorsement-dropped/"
	path := func(name string) string { return samples.Path(t, filepath.FromSlash(name)) }
	for _, c := range []struct {
		name string
		args []string
		want []string // checks that fail
		boot bool     // the file also has a quote
	}{
		{"TDX with a chain", []string{path(tdx + "hcl-report-tdx.bin"), "--chain", path(tdx + "certs.pem")},
			[]string{"TDX quote", "certificate chain", "runtime data"}, false},
		{"TDX with a chain and data", []string{path(tdx + "hcl-report-tdx.bin"), "--chain", path(tdx + "certs.pem"), "--runtime-data", path(tdx + "rd.txt")},
			[]string{"TDX quote", "certificate chain", "runtime data"}, false},
		{"only a chain", []string{path(tdx + "certs.pem")}, []string{"report"}, false},
		{"control", []string{path(unreadable + "b-good.json")}, nil, false},
		{"version 6", []string{path(unreadable + "b-v6.json")}, []string{"contents", "report"}, false},
		{"reserved byte", []string{path(unreadable + "b-reserved.json")}, []string{"contents", "report"}, false},
		{"short", []string{path(unreadable + "b-short.json")}, []string{"contents", "report"}, false},
		// The numbers are the bytes of the control's report, so the files verify like the control.
		{"list of numbers", []string{path(unreadable + "b-list.json")}, nil, false},
		{"report, quote and VCEK as numbers", []string{path("turn2/05-byte-lists/evidence-v0.json")}, nil, true},
		{"VCEK without issuers", []string{path("turn2/10-lone-vcek/evidence-v1.json")}, nil, true},
		{"VCEK as --chain", []string{path("turn2/10-lone-vcek/evidence-v1.json"), "--chain", path("turn2/10-lone-vcek/milanv0-vcek.pem")}, nil, true},
		{"evidence of TDX", []string{path("turn2/12-tdx-messages/evidence-v1.json")}, nil, true},
		{"TDX quote", []string{path("turn2/12-tdx-messages/td-quote.bin")}, nil, false},
		{"TDX quote, demanded status", []string{path("turn2/12-tdx-messages/td-quote.bin"), "--tcb-status", "UpToDate"},
			[]string{"collateral", "revocation", "TCB level"}, false},
		{"TDX quote of a machine that is behind", []string{
			path("tdx/flashbots-2026-td-quote-v5-low-tcb.bin"), "--collateral-sources", path("tdx/flashbots-2026-02-collateral.yaml"),
			"--tcb-status", "UpToDate",
		}, []string{"collateral", "TCB level"}, false},
		{"endorsement", []string{path(dropped + "css-20260302.json")}, nil, false},
		{"endorsement, untagged", []string{path(dropped + "e-untagged.json")}, []string{"contents", "UVM endorsement"}, false},
		{"endorsement, bad base64", []string{path(dropped + "e-b64bad.json")}, []string{"contents", "UVM endorsement"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := slices.Concat(command, []string{"--output", "json", "--at", "2026-06-01T00:00:00Z", "--certificate-sources", "host"}, c.args)
			stdout, stderr, code := operate(t, nil, "", args...)
			if c.boot && command[0] == "verify" { // verify does not skip the quote
				if code != 2 || !strings.Contains(stderr, "--policy is needed: this is boot evidence") {
					t.Errorf("exit %d: %s%s", code, stdout, stderr)
				}
				return
			}
			var v struct {
				Passed      bool
				Checks      []struct{ Name, Outcome string }
				NotLookedAt []string `json:"not_looked_at"`
			}
			if err := json.Unmarshal([]byte(stdout), &v); err != nil {
				t.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			var failed []string
			for _, check := range v.Checks {
				if check.Outcome == "failed" {
					failed = append(failed, check.Name)
				}
			}
			if code != map[bool]int{true: 0, false: 6}[c.want == nil] || v.Passed != (c.want == nil) {
				t.Errorf("exit %d, passed %t\n%s%s", code, v.Passed, stdout, stderr)
			}
			for _, name := range c.want {
				if !slices.Contains(failed, name) {
					t.Errorf("%q did not fail: %s", name, stdout)
				}
			}
			unseen := strings.Join(v.NotLookedAt, " ")
			if !strings.Contains(unseen, "whether MEASUREMENT") && !strings.Contains(unseen, "whether MRTD") {
				t.Errorf("not looked at: %q", v.NotLookedAt)
			}
		})
	}
}

// Genuine files of each kind are recognised, and pass or fail as known. The keys that
// signed the tokens are no longer published.
func TestSampleSubjects(t *testing.T) {
	path := func(name string) string { return samples.Path(t, filepath.FromSlash(name)) }
	const padded, signingKey = "turn2/06-ak-pem-padded/", "maa/maa-signing-certificate-uks.pem"
	for _, c := range []struct {
		name    string
		args    []string
		subject string
		failed  []string
	}{
		{"report", []string{path("turn2/03-bundle-unreadable-report-passes/b-good.json"), "--at", "2026-06-01T00:00:00Z"}, "evidence", nil},
		{"token", []string{path("maa/aci-token.jwt"), "--signing-keys", path(signingKey), "--at", "2025-04-08T05:00:00Z"}, "token", []string{"token signature"}},
		{"expired token", []string{path("maa/aci-token.jwt"), "--signing-keys", path(signingKey), "--at", "2026-04-08T05:00:00Z"}, "token",
			[]string{"token signature", "times"}},
		{"statement", []string{recordedStatement(t, "keyvault/releasekey-kv.json"), "--vault", "gracewilcox2.vault.azure.net", "--at", "2023-03-28T22:07:28Z"},
			"statement", nil},
		{"statement of another vault", []string{recordedStatement(t, "keyvault/releasekey-mhsm.json"), "--vault", "other.example", "--at", "2023-03-28T22:07:28Z"},
			"statement", []string{"vault", "statement signature"}},
		{"boot", []string{
			path(padded + "fb25-quote.json"), path(padded + "fb25-ak.index"), "--policy", path(padded + "pol-cert.yaml"), "--at", "2026-01-15T00:00:00Z",
		}, "measured boot", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, code := operate(t, nil, "", append([]string{"verify", "--output", "json", "--certificate-sources", "host"}, c.args...)...)
			var v struct {
				Subject string
				Checks  []struct{ Name, Outcome string }
			}
			if err := json.Unmarshal([]byte(stdout), &v); err != nil {
				t.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			var failed []string
			for _, made := range v.Checks {
				if made.Outcome == "failed" {
					failed = append(failed, made.Name)
				}
			}
			if v.Subject != c.subject || !slices.Equal(failed, c.failed) || code != map[bool]int{true: 0, false: 6}[c.failed == nil] {
				t.Errorf("exit %d, %q failed\n%s%s", code, failed, stdout, stderr)
			}
		})
	}
}

// recordedStatement writes an answer with a release statement from recorded traffic.
func recordedStatement(t *testing.T, name string) string {
	t.Helper()
	var recording struct {
		Entries []struct{ ResponseBody json.RawMessage }
	}
	if err := json.Unmarshal(samples.Read(t, name), &recording); err != nil {
		t.Fatal(err)
	}
	for _, entry := range recording.Entries {
		var answer struct{ Value string }
		if json.Unmarshal(entry.ResponseBody, &answer) == nil && strings.HasPrefix(answer.Value, "ey") {
			file := filepath.Join(t.TempDir(), "statement.json")
			if err := os.WriteFile(file, entry.ResponseBody, 0o600); err != nil {
				t.Fatal(err)
			}
			return file
		}
	}
	t.Fatalf("%s holds no release statement", name)
	return ""
}

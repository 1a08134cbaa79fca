package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skr/test/samples"
)

// Genuine files that were cut, altered or given with another machine's: each passed once,
// since what could not be read or was not there was passed over.
func TestSampleVerdicts(t *testing.T) {
	const tdx, unreadable, dropped = "turn2/02-tdx-passes-with-chain/", "turn2/03-bundle-unreadable-report-passes/", "turn2/04-bundle-endorsement-dropped/"
	path := func(name string) string { return samples.Path(t, filepath.FromSlash(name)) }
	for _, c := range []struct {
		name string
		args []string
		want []string // checks that fail
	}{
		{"TDX with a chain", []string{path(tdx + "hcl-report-tdx.bin"), "--chain", path(tdx + "certs.pem")}, []string{"report", "runtime data"}},
		{"TDX with a chain and data", []string{path(tdx + "hcl-report-tdx.bin"), "--chain", path(tdx + "certs.pem"), "--runtime-data", path(tdx + "rd.txt")},
			[]string{"report", "runtime data"}},
		{"a chain alone", []string{path(tdx + "certs.pem")}, []string{"report"}},
		{"control", []string{path(unreadable + "b-good.json")}, nil},
		{"version 6", []string{path(unreadable + "b-v6.json")}, []string{"contents", "report"}},
		{"reserved byte", []string{path(unreadable + "b-reserved.json")}, []string{"contents", "report"}},
		{"short", []string{path(unreadable + "b-short.json")}, []string{"contents", "report"}},
		// The numbers are the bytes of the control's report, so that they verify as it does.
		{"list of numbers", []string{path(unreadable + "b-list.json")}, nil},
		{"report, quote and VCEK as numbers", []string{path("turn2/05-byte-lists/evidence-v0.json")}, nil},
		{"VCEK without issuers", []string{path("turn2/10-lone-vcek/evidence-v1.json")}, nil},
		{"VCEK as --chain", []string{path("turn2/10-lone-vcek/evidence-v1.json"), "--chain", path("turn2/10-lone-vcek/milanv0-vcek.pem")}, nil},
		{"evidence of TDX", []string{path("turn2/12-tdx-messages/evidence-v1.json")}, []string{"report"}},
		{"TDX quote", []string{path("turn2/12-tdx-messages/td-quote.bin")}, []string{"report"}},
		{"endorsement", []string{path(dropped + "css-20260302.json")}, nil},
		{"endorsement, untagged", []string{path(dropped + "e-untagged.json")}, []string{"contents", "UVM endorsement"}},
		{"endorsement, bad base64", []string{path(dropped + "e-b64bad.json")}, []string{"contents", "UVM endorsement"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"report", "verify", "--output", "json", "--at", "2026-06-01T00:00:00Z", "--certificate-sources", "host"}, c.args...)
			stdout, stderr, code := operate(t, nil, "", args...)
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
			if len(v.NotLookedAt) == 0 || !strings.Contains(strings.Join(v.NotLookedAt, " "), "MEASUREMENT") {
				t.Errorf("not looked at: %q", v.NotLookedAt)
			}
		})
	}
}

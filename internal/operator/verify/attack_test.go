package verify_test

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

// mix is the evidence of a good machine as one JSON document. The attacker modifies it.
type mix map[string]any

func (m *vm) mix(t *testing.T) mix {
	t.Helper()
	index := must(vtpmtest.HCL(m.chip, vtpmtest.Claims(m.ak.Public(), true), vtpmtest.HCLOptions{}))(t)
	quote := must(m.ak.Quote(vtpmtest.QuoteOptions{PCRs: m.log.PCRs(), Nonce: must(hex.DecodeString(sent))(t)}))(t)
	values := map[string]any{}
	for pcr := range 8 {
		values[string(rune('0'+pcr))] = m.log.PCRs()[pcr].String()
	}
	return mix{
		"hcl_report": hex.EncodeToString(index), "quote": hex.EncodeToString(quote), "pcrs": values,
		"event_log": hex.EncodeToString(m.log.Raw()), "endorsements": string(must(m.chip.ChainPEM(m.chip.TCB()))(t)),
	}
}

// Ways to make a machine pass with unverified content. Each fails or is reported.
func TestMixedBoots(t *testing.T) {
	m := &vm{newMachine(t), must(vtpmtest.NewAK())(t), vtpmtest.SecureBootLog(true)}
	other := &vm{m.machine, must(vtpmtest.NewAK())(t), vtpmtest.SecureBootLog(false)}
	report := func(o snptest.Options) string {
		return hex.EncodeToString(must(m.chip.Report(snp.ReportData{1}, o))(t))
	}
	foreign := other.mix(t)
	for _, c := range []struct {
		name   string
		change func(mix)
		want   string // a failing check; "" if none fails
		unseen string
	}{
		{"unchanged", func(mix) {}, "", "PCR 0-3, 5-6"},
		{"another machine's report in addition", func(x mix) { x["report"] = report(snptest.Options{}) }, "contents", ""},
		{"another HCL report later in the file", func(x mix) { x["z"] = foreign["hcl_report"] }, "contents", ""},
		{"another HCL report earlier in the file", func(x mix) { x["a"] = foreign["hcl_report"] }, "contents", ""},
		{"another quote", func(x mix) { x["tpm_quote"] = foreign["quote"] }, "contents", ""},
		{"another log", func(x mix) { x["tcg_event_log"] = foreign["event_log"] }, "contents", ""},
		{"more values than were quoted", func(x mix) {
			values := x["pcrs"].(map[string]any)
			values["11"] = strings.Repeat("ab", 32)
		}, "", "the values of PCR 11, which are not in the selection"},
		{"a second set of values", func(x mix) { x["sha256"] = map[string]any{"0": strings.Repeat("ab", 32)} }, "contents", ""},
		{"AK certificate that cannot be read", func(x mix) { x["ak_certificate"] = "00" }, "contents", ""},
		{"AK certificate of another key", func(x mix) { x["ak_certificate"] = hex.EncodeToString(other.ak.Index()) }, "", `"ak_certificate" (certificates)`},
		{"report that cannot be read", func(x mix) { x["evidence"] = report(snptest.Options{})[:100] }, "contents", ""},
		{"endorsement that cannot be read", func(x mix) { x["uvm_endorsements"] = "d284" }, "contents", ""},
		{"token", func(x mix) { x["attested"] = map[string]any{"token": "opaque"} }, "contents", ""},
		{"parts in a list", func(x mix) { x["more"] = []any{map[string]any{"hcl_report": foreign["hcl_report"]}} }, "", `"more" (not recognised)`},
		{"no log", func(x mix) { x["event_log"] = "" }, "event log", ""},
		{"no chain", func(x mix) { delete(x, "endorsements") }, "certificate chain", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := m.mix(t)
			c.change(x)
			found := must(inspect.Recognise(must(json.Marshal(x))(t)))(t)
			evidence, _ := found.Evidence()
			given := verify.Machine{
				Boot: found.Boot(), Roots: vtpm.AzureRoots(), Given: verify.Given{Evidence: evidence, Parts: found.Parts()},
				Policy: policyOf(t, "ak: hcl\nnonce: '%s'\npcrs: {4: %s}%s", sent, m.log.PCRs()[4], identity["hcl"]),
			}
			v := verify.OfBoot(given, m.silicon, time.Now())
			if v.Passed != (c.want == "") || c.want != "" && !slices.Contains(v.Failures(), c.want) {
				t.Errorf("passed %t, failed %q, want %q", v.Passed, v.Failures(), c.want)
			}
			if got := strings.Join(v.NotLookedAt, "; "); !strings.Contains(got, c.unseen) {
				t.Errorf("not looked at: %s", got)
			}
		})
	}
}

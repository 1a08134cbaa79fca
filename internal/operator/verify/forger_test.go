package verify_test

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

// forger has a guest of its own on genuine silicon elsewhere. Everything except the report
// is made up: claims that name a software key HCLAkPub, a quote signed with that key, and a
// log of a boot with secure boot that never happened.
type forger struct {
	chip  *snptest.Chip
	roots *vcek.Roots
	ak    *vtpmtest.AK
}

func newForger(t *testing.T) forger {
	t.Helper()
	vendor := must(snptest.NewVendor(snp.Milan, time.Now()))(t)
	return forger{must(vendor.NewChip())(t), must(vcek.ParseRoots(vendor.RootsPEM()))(t), must(vtpmtest.NewAK())(t)}
}

// machine returns the evidence with a report that has the options o.
func (f forger) machine(t *testing.T, policy string, o snptest.Options) verify.Machine {
	t.Helper()
	log := vtpmtest.SecureBootLog(true)
	index := must(vtpmtest.HCL(f.chip, vtpmtest.Claims(f.ak.Public(), true), vtpmtest.HCLOptions{Report: o}))(t)
	quote := must(f.ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs(), Nonce: []byte("0123456789abcdef")}))(t)
	files := []inspect.File{
		{Name: "hcl.bin", Found: must(inspect.Recognise(index))(t)},
		{Name: "quote.bin", Found: must(inspect.Recognise(quote))(t)},
		{Name: "log.bin", Found: must(inspect.Recognise(log.Raw()))(t)},
	}
	found := inspect.Join(files)
	m := verify.Machine{
		Boot: found.Boot(), Policy: policyOf(t, "%s", policy), Nonce: []byte("0123456789abcdef"), Roots: vtpm.AzureRoots(),
		Given: verify.Given{Parts: found.Parts(), GivenChain: chainOf(t, f.chip)},
	}
	m.Boot.PCRs = log.PCRs()
	return m
}

const (
	zeros  = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	azures = "942fd93ebde6ea7a96efadeafc60f1c6b3d10e703b1dafd7555b92f7f3d32d0e006767648cba5b102af3d65756af4177"
)

// An attacker's own guest does not pass for an Azure confidential VM, whoever signed it.
// REPORT_DATA over the claims proves something only if a paravisor made the report.
func TestForgedConfidentialVM(t *testing.T) {
	f := newForger(t)
	own := [48]byte{0xee, 1, 2, 3}
	author := [48]byte{0xaa}
	ofMachine := snptest.Options{Measurement: snp.Measurement{7}}
	for _, c := range []struct {
		name, policy string
		report       snptest.Options
		want         []string
	}{
		{"unsigned", "ak: hcl", ofMachine, []string{"paravisor"}},
		{"signed by the forger", "ak: hcl", snptest.Options{IDKeyDigest: own}, []string{"paravisor"}},
		{"another key in the policy", "ak: hcl\nid_keys: [" + azures + "]", snptest.Options{IDKeyDigest: own}, []string{"paravisor"}},
		{"Azure's digest as author's, without an author key", "ak: hcl\nauthor_keys: [" + strings.Replace(zeros, "00", "aa", 1) + "]",
			snptest.Options{IDKeyDigest: own, AuthorKeyDigest: author}, []string{"paravisor"}},
		{"another measurement", "ak: hcl\nmeasurements: [" + strings.Repeat("ab", 48) + "]", ofMachine, []string{"launch measurement"}},
		{"key and measurement required", "ak: hcl\nid_keys: [" + azures + "]\nmeasurements: ['07" + zeros[2:] + "']", ofMachine, []string{"paravisor"}},
		{"measurement and another key", "ak: hcl\nmeasurements: any\nid_keys: [" + azures + "]", ofMachine, []string{"paravisor"}},
		{"a user of the real VM, at VMPL 2", "ak: hcl", snptest.Options{IDKeyDigest: keyOf(t, azures), VMPL: 2}, []string{"privilege level"}},
		{"debugged", "ak: hcl", snptest.Options{IDKeyDigest: keyOf(t, azures), Policy: 0x3001f | 1<<19}, []string{"guest policy"}},
		{"signed by Azure", "ak: hcl", snptest.Options{IDKeyDigest: keyOf(t, azures)}, nil},
		{"author of the policy", "ak: hcl\nauthor_keys: [" + strings.Replace(zeros, "00", "aa", 1) + "]",
			snptest.Options{IDKeyDigest: own, AuthorKeyDigest: author, AuthorKeyEnabled: true}, nil},
		{"any guest accepted", "ak: hcl\nmeasurements: any", ofMachine, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify.OfBoot(f.machine(t, c.policy, c.report), verify.Silicon{Roots: f.roots}, time.Now())
			if got := v.Failures(); !slices.Equal(got, c.want) || v.Passed != (c.want == nil) {
				t.Errorf("failed: %q, want %q\n%+v", got, c.want, v.Checks)
			}
			told := slices.ContainsFunc(v.NotLookedAt, func(text string) bool { return strings.HasPrefix(text, "paravisor") })
			if want := strings.Contains(c.policy, "measurements") && !strings.Contains(c.policy, "_keys"); told != want {
				t.Errorf("not looked at: %q", v.NotLookedAt)
			}
		})
	}
}

func keyOf(t *testing.T, digits string) [48]byte {
	t.Helper()
	return [48]byte(must(hex.DecodeString(digits))(t))
}

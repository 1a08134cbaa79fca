package verify_test

import (
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/samples"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

const sent = "00112233445566778899aabbccddeeff"

func policyOf(t *testing.T, text string, values ...any) *verify.BootPolicy {
	t.Helper()
	return must(verify.ParseBootPolicy(fmt.Appendf(nil, text, values...)))(t)
}

// vm is an emulated confidential VM. Its evidence includes that of Trusted Launch.
type vm struct {
	*machine
	ak  *vtpmtest.AK
	log *vtpmtest.Log
}

// identity is the part of a policy that identifies the guests of package snptest.
var identity = map[verify.AKSource]string{verify.AKFromHCL: fmt.Sprintf("\nmeasurements: [%x]", sha512.Sum384([]byte("TEST ONLY")))}

// good returns the machine's evidence and a policy that it meets.
func (m *vm) good(t *testing.T, trust verify.AKSource) verify.Machine {
	t.Helper()
	log := must(vtpm.ParseEventLog(m.log.Raw()))(t)
	policy := policyOf(t, "ak: %s\nnonce: '%s'\npcrs: {4: %s}%s", trust, sent, m.log.PCRs()[4], identity[trust])
	return verify.Machine{
		Boot: inspect.Boot{
			HCL: m.hcl(t, true, vtpmtest.HCLOptions{}), Quote: m.quote(t, vtpmtest.QuoteOptions{}), PCRs: m.log.PCRs(), Log: log,
			Certificate: must(vtpm.ParseAKCertificate(m.ak.Index()))(t),
		},
		Policy: policy, Roots: must(vtpm.ParseRoots(m.ak.RootsPEM()))(t), Given: verify.Given{Evidence: inspect.Evidence{Chain: m.chain}},
	}
}

func (m *vm) hcl(t *testing.T, secureBoot bool, o vtpmtest.HCLOptions) *vtpm.HCLReport {
	t.Helper()
	return must(vtpm.ParseHCL(must(vtpmtest.HCL(m.chip, vtpmtest.Claims(m.ak.Public(), secureBoot), o))(t)))(t)
}

func (m *vm) quote(t *testing.T, o vtpmtest.QuoteOptions) *vtpm.Quote {
	t.Helper()
	if o.Nonce == nil {
		o.Nonce = []byte("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff")
	}
	if o.PCRs == nil {
		o.PCRs = m.log.PCRs()
	}
	return must(vtpm.ParseQuote(must(m.ak.Quote(o))(t)))(t)
}

// Each fault fails exactly the checks that concern it.
func TestOfBoot(t *testing.T) {
	m := &vm{newMachine(t), must(vtpmtest.NewAK())(t), vtpmtest.SecureBootLog(true)}
	other := &vm{m.machine, must(vtpmtest.NewAK())(t), vtpmtest.SecureBootLog(false)}
	tl, now := verify.AKFromCertificate, time.Now()
	pinned := m.log.PCRs()[4]
	boot := func(change func(*inspect.Boot)) func(*verify.Machine) {
		return func(v *verify.Machine) { change(&v.Boot) }
	}
	policy := func(text string, values ...any) func(*verify.Machine) {
		return func(v *verify.Machine) { v.Policy = policyOf(t, text, values...) }
	}
	offLog := must(vtpm.ParseEventLog(other.log.Raw()))(t)
	for _, c := range []struct {
		name   string
		trust  verify.AKSource
		change func(*verify.Machine)
		want   []string
	}{
		{"confidential VM", verify.AKFromHCL, nil, nil},
		{"Trusted Launch", tl, boot(func(b *inspect.Boot) { b.HCL = nil }), nil},
		{"nonce of the caller", tl, func(v *verify.Machine) { v.Nonce = []byte("another one") }, []string{"nonce"}},
		{"no HCL report", verify.AKFromHCL, boot(func(b *inspect.Boot) { b.HCL = nil }), []string{"attestation key"}},
		{"no certificate", tl, boot(func(b *inspect.Boot) { b.Certificate = nil }), []string{"attestation key"}},
		{"another root", tl, func(v *verify.Machine) { v.Roots = vtpm.AzureRoots() }, []string{"attestation key"}},
		{"certificate of another key", tl, func(v *verify.Machine) {
			v.Boot.Certificate = must(vtpm.ParseAKCertificate(other.ak.Index()))(t)
			v.Roots = must(vtpm.ParseRoots(other.ak.RootsPEM()))(t)
		}, []string{"quote signature"}},
		{"HCL report of another key", verify.AKFromHCL, boot(func(b *inspect.Boot) { b.HCL = other.hcl(t, true, vtpmtest.HCLOptions{}) }),
			[]string{"quote signature"}},
		{"claims changed", verify.AKFromHCL, boot(func(b *inspect.Boot) {
			b.HCL = m.hcl(t, true, vtpmtest.HCLOptions{Mutate: func(raw []byte) { raw[1236+len(`{"keys":[{"kid":"`)] ^= 1 }})
		}), []string{"runtime data"}},
		{"report altered", verify.AKFromHCL, boot(func(b *inspect.Boot) {
			b.HCL = m.hcl(t, true, vtpmtest.HCLOptions{Mutate: func(raw []byte) { raw[32+0xC0] ^= 1 }})
		}), []string{"report signature"}},
		{"AMD's roots", verify.AKFromHCL, nil, []string{"certificate chain"}},
		{"other hardware", verify.AKFromHCL, boot(func(b *inspect.Boot) { b.HCL = m.hcl(t, true, vtpmtest.HCLOptions{Hardware: 1}) }), []string{"report"}},
		{"debugging", verify.AKFromHCL, boot(func(b *inspect.Boot) {
			b.HCL = m.hcl(t, true, vtpmtest.HCLOptions{Report: snptest.Options{Policy: 0x3001f | 1<<19}})
		}), []string{"guest policy"}},
		{"no quote", tl, boot(func(b *inspect.Boot) { b.Quote = nil }), []string{"quote signature"}},
		{"old quote", tl, boot(func(b *inspect.Boot) { b.Quote = m.quote(t, vtpmtest.QuoteOptions{Nonce: []byte("old")}) }), []string{"nonce"}},
		{"fewer PCRs", tl, boot(func(b *inspect.Boot) { b.Quote = m.quote(t, vtpmtest.QuoteOptions{Bitmap: [3]byte{0x7f}}) }), []string{"PCR selection"}},
		{"more PCRs", tl, boot(func(b *inspect.Boot) { b.Quote = m.quote(t, vtpmtest.QuoteOptions{Bitmap: [3]byte{0xff, 1}}) }), []string{"PCR selection"}},
		{"no values", tl, boot(func(b *inspect.Boot) { b.PCRs = nil }), []string{"PCR values"}},
		{"values of another boot", tl, boot(func(b *inspect.Boot) { b.PCRs = other.log.PCRs() }), []string{"PCR values"}},
		{"another value is pinned", tl, policy("ak: certificate\npcrs: {4: %s}", vtpm.Digest{0xab}), []string{"pinned PCRs"}},
		{"several values accepted", tl, policy("ak: certificate\npcrs: {4: [%s, %s]}", vtpm.Digest{0xab}, pinned), nil},
		{"no log", tl, boot(func(b *inspect.Boot) { b.Log = nil }), []string{"event log"}},
		{"header only", tl, boot(func(b *inspect.Boot) { b.Log = must(vtpm.ParseEventLog(vtpmtest.NewLog().Raw()))(t) }), []string{"event log"}},
		{"log of another boot", tl, boot(func(b *inspect.Boot) { b.Log = offLog }), []string{"event log"}},
		{"secure boot off", tl, func(v *verify.Machine) {
			v.Boot.Log, v.Boot.PCRs = offLog, other.log.PCRs()
			v.Boot.Quote = m.quote(t, vtpmtest.QuoteOptions{PCRs: other.log.PCRs()})
		}, []string{"secure boot"}},
		{"secure boot not required", tl, func(v *verify.Machine) {
			v.Boot.Log, v.Boot.PCRs = nil, other.log.PCRs()
			v.Boot.Quote = m.quote(t, vtpmtest.QuoteOptions{PCRs: other.log.PCRs()})
			v.Policy = policyOf(t, "ak: certificate\nsecure_boot: false")
		}, nil},
		{"unlogged needs no log", tl, func(v *verify.Machine) {
			v.Boot.Log = nil
			v.Policy = policyOf(t, "ak: certificate\nsecure_boot: false\npcrs: {4: %s}\nunlogged: [4]", pinned)
		}, nil},
		{"paravisor has secure boot off", verify.AKFromHCL, boot(func(b *inspect.Boot) { b.HCL = m.hcl(t, false, vtpmtest.HCLOptions{}) }), []string{"secure boot"}},
		{"another measurement", verify.AKFromHCL, policy("ak: hcl\nmeasurements: [%s]", strings.Repeat("ab", 48)), []string{"launch measurement"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			given, silicon := m.good(t, c.trust), m.silicon
			if c.change != nil {
				c.change(&given)
			}
			if c.name == "AMD's roots" {
				silicon.Roots = vcek.BuiltinRoots()
			}
			v := verify.OfBoot(given, silicon, now)
			if got := causes(v); !slices.Equal(got, c.want) || v.Passed != (c.want == nil) {
				t.Errorf("failed: %q, want %q\n%+v", got, c.want, v.Checks)
			}
			for _, made := range v.Checks {
				if isCause(made) != (made.Fix != "") {
					t.Errorf("%s: %d with advice %q", made.Name, made.Outcome, made.Fix)
				}
			}
		})
	}
}

// A confidential VM on Turin has another TCB layout and a shorter chip id.
func TestOfBootTurin(t *testing.T) {
	vendor := must(snptest.NewVendor(snp.Turin, time.Now()))(t)
	m := &vm{newMachine(t), must(vtpmtest.NewAK())(t), vtpmtest.SecureBootLog(true)}
	m.chip = must(vendor.NewChip())(t)
	m.silicon.Roots, m.chain = must(vcek.ParseRoots(vendor.RootsPEM()))(t), chainOf(t, m.chip)
	for _, version := range []uint32{3, 5} {
		given := m.good(t, verify.AKFromHCL)
		given.Boot.HCL = m.hcl(t, true, vtpmtest.HCLOptions{Report: snptest.Options{Version: version}})
		if v := verify.OfBoot(given, m.silicon, time.Now()); !v.Passed {
			t.Errorf("version %d: %q\n%+v", version, v.Failures(), v.Checks)
		}
	}
}

// Genuine evidence. No event log of Azure is public, so only the log is missing.
func TestSampleBoot(t *testing.T) {
	roots := must(vcek.ParseRoots(samples.Read(t, "amd-roots/milan_ask_ark_asvk.pem")))(t)
	chainOf := func(found inspect.Artefact) *vcek.Chain { e, _ := found.Evidence(); return e.Chain }
	for _, c := range []struct {
		file, policy, at string
		want             []string
	}{
		{"cvm/milan-2025-evidence.json", "ak: hcl\nselection: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]\n" +
			"secure_boot: false\npcrs: {3: 3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969}\nunlogged: [3]", "2026-02-01T00:00:00Z", nil},
		{"cvm/milan-2025-evidence.json", "ak: hcl", "2026-02-01T00:00:00Z", []string{"PCR selection", "event log"}},
		{"cvm/milan-2025-evidence.json", "ak: certificate\nselection: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]",
			"2026-04-01T00:00:00Z", []string{"event log"}},
		{"cvm/milan-quote-with-nonce.json", "ak: hcl\nsecure_boot: false\nselection: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]",
			"2026-02-01T00:00:00Z", nil},
	} {
		t.Run(c.file, func(t *testing.T) {
			found := must(inspect.Recognise(samples.Read(t, c.file)))(t)
			m := verify.Machine{Boot: found.Boot(), Policy: policyOf(t, "%s", c.policy), Roots: vtpm.AzureRoots(),
				Given: verify.Given{Evidence: inspect.Evidence{Chain: chainOf(found)}, Parts: found.Parts()}}
			if m.Given.Chain == nil {
				m.Given.Chain = completed(t, m.Boot.Issuers)
			}
			v := verify.OfBoot(m, verify.Silicon{Roots: roots}, must(time.Parse(time.RFC3339, c.at))(t))
			if got := causes(v); !slices.Equal(got, c.want) || v.Passed != (c.want == nil) {
				t.Errorf("failed: %q, want %q\n%+v", got, c.want, v.Checks)
			}
		})
	}
}

// completed returns the chain of a VCEK that came without its issuers.
func completed(t *testing.T, found []*x509.Certificate) *vcek.Chain {
	t.Helper()
	at := slices.IndexFunc(found, vcek.IsLeaf)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: found[at].Raw})
	rest := samples.Read(t, "amd-roots/milan_ask_ark_asvk.pem")
	for range 2 {
		block, next := pem.Decode(rest)
		text, rest = append(text, pem.EncodeToMemory(block)...), next
	}
	return must(vcek.ParsePEM(text))(t)
}

package verify_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/check"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/samples"
	"skr/test/snptest"
	"skr/test/uvmtest"
)

// machine is an emulated machine with all kinds of evidence.
type machine struct {
	chip        *snptest.Chip
	silicon     verify.Silicon
	chain       *vcek.Chain
	endorsement *uvm.Endorsement
}

const claims, policy = `{"keys":[]}`, "package policy\n"

var measurement = snp.Measurement{1, 2, 3}

func newMachine(t *testing.T) *machine {
	t.Helper()
	vendor := must(snptest.NewVendor(snp.Milan, time.Now()))(t)
	chip := must(vendor.NewChip())(t)
	endorser := must(uvmtest.NewEndorser())(t)
	raw := must(endorser.Endorse(measurement, 100, "ContainerPlat-AMD-UVM"))(t)
	m := &machine{chip: chip, endorsement: must(uvm.ParseEndorsement(raw))(t)}
	m.silicon.Roots = must(vcek.ParseRoots(vendor.RootsPEM()))(t)
	m.chain = chainOf(t, chip)
	return m
}

func chainOf(t *testing.T, chip *snptest.Chip) *vcek.Chain {
	t.Helper()
	return must(vcek.ParsePEM(must(chip.ChainPEM(chip.TCB()))(t)))(t)
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func (m *machine) evidence(t *testing.T, o snptest.Options) inspect.Evidence {
	t.Helper()
	o.HostData = sha256.Sum256([]byte(policy))
	if o.Measurement == (snp.Measurement{}) {
		o.Measurement = measurement
	}
	raw := must(m.chip.Report(snp.Bind([]byte(claims)), o))(t)
	return inspect.Evidence{
		Report: must(snp.Parse(raw))(t), Chain: m.chain, RuntimeData: []byte(claims), InitTimeData: []byte(policy), Endorsement: m.endorsement,
	}
}

// Each fault fails exactly the checks that concern it.
func TestOfEvidence(t *testing.T) {
	m := newMachine(t)
	other := must(m.chip.Vendor().NewChip())(t)
	now, broken := time.Now(), errors.New("broken")
	good := m.evidence(t, snptest.Options{})
	with := func(change func(*inspect.Evidence)) inspect.Evidence { e := good; change(&e); return e }
	found := verify.Silicon{Roots: m.silicon.Roots, Find: func(*snp.Report) (*vcek.Chain, error) { return m.chain, nil }}
	flipped := func(raw []byte) { raw[0x2A0] ^= 1 }
	for _, c := range []struct {
		name     string
		evidence inspect.Evidence
		silicon  verify.Silicon
		at       time.Time
		want     []string
	}{
		{"good", good, m.silicon, now, nil},
		{"years later", good, m.silicon, now.AddDate(100, 0, 0), []string{"certificate chain"}},
		{"AMD's roots", good, verify.Silicon{Roots: vcek.BuiltinRoots()}, now, []string{"certificate chain"}},
		{"no chain", with(func(e *inspect.Evidence) { e.Chain = nil }), m.silicon, now, []string{"certificate chain"}},
		{"chain found", with(func(e *inspect.Evidence) { e.Chain = nil }), found, now, nil},
		{"chain malformed", with(func(e *inspect.Evidence) { e.Chain, e.ChainErr = nil, broken }), found, now, []string{"certificate chain"}},
		{"chain of another chip", with(func(e *inspect.Evidence) { e.Chain = chainOf(t, other) }), m.silicon, now, []string{"chip and TCB", "report signature"}},
		{"signature flipped", m.evidence(t, snptest.Options{MutateSigned: flipped}), m.silicon, now, []string{"report signature"}},
		{"debugging", m.evidence(t, snptest.Options{Policy: 0x3001f | 1<<19}), m.silicon, now, []string{"guest policy"}},
		{"migration", m.evidence(t, snptest.Options{Policy: 0x3001f | 1<<18}), m.silicon, now, []string{"guest policy"}},
		{"VMPL 1", m.evidence(t, snptest.Options{VMPL: 1}), m.silicon, now, []string{"privilege level"}},
		{"other runtime data", with(func(e *inspect.Evidence) { e.RuntimeData = []byte("{}") }), m.silicon, now, []string{"runtime data"}},
		{"other policy", with(func(e *inspect.Evidence) { e.InitTimeData = []byte("{}") }), m.silicon, now, []string{"init-time data"}},
		{"forged endorsement", with(func(e *inspect.Evidence) { e.Endorsement, e.EndorsementErr = nil, broken }), m.silicon, now, []string{"UVM endorsement"}},
		{"other utility VM", m.evidence(t, snptest.Options{Measurement: snp.Measurement{9}}), m.silicon, now, []string{"UVM measurement"}},
		{"chain alone", inspect.Evidence{Chain: m.chain}, m.silicon, now, []string{"report"}},
		{"endorsement alone", inspect.Evidence{Endorsement: m.endorsement}, m.silicon, now, []string{"report"}},
		{"other hardware's data", inspect.Evidence{RuntimeData: []byte("{}")}, m.silicon, now, []string{"report"}},
		{"unreadable report", inspect.Evidence{ReportErr: broken, Chain: m.chain}, m.silicon, now, []string{"report"}},
		{"nothing", inspect.Evidence{}, m.silicon, now, []string{"report"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify.OfEvidence(verify.Given{Evidence: c.evidence}, c.silicon, c.at)
			if got := causes(v); !slices.Equal(got, c.want) || v.Passed != (c.want == nil) {
				t.Errorf("failed: %q, want %q", got, c.want)
			}
			for _, made := range v.Checks {
				if isCause(made) != (made.Fix != "") {
					t.Errorf("%s: %d with advice %q", made.Name, made.Outcome, made.Fix)
				}
			}
		})
	}
}

// causes returns the checks that failed by themselves. It leaves out checks that could not
// be made because of them.
func causes(v *verify.Verdict) []string {
	var names []string
	for _, c := range v.Checks {
		if isCause(c) {
			names = append(names, c.Name)
		}
	}
	return names
}

func isCause(c check.Result) bool {
	return c.Outcome == check.Failed && !strings.HasPrefix(c.Found, "it cannot be made") && c.Found != "it is needed and cannot be made"
}

// Genuine evidence verifies with AMD's roots at the time of its creation.
func TestSampleEvidence(t *testing.T) {
	for file, at := range map[string]string{
		"aci-milan-v3/maa-request.json":                         "2025-06-01T00:00:00Z",
		"aci-milan-v3/attestation.json":                         "2025-06-01T00:00:00Z",
		"maa/aci-request.json":                                  "2025-06-01T00:00:00Z",
		"cvm/milan-2025-evidence.json":                          "2026-02-01T00:00:00Z",
		"turn2/03-bundle-unreadable-report-passes/b-good.json":  "2026-06-01T00:00:00Z",
		"turn2/03-bundle-unreadable-report-passes/b-list.json":  "2026-06-01T00:00:00Z",
		"turn2/04-bundle-endorsement-dropped/css-20260302.json": "2026-06-01T00:00:00Z",
		"turn2/05-byte-lists/evidence-v0.json":                  "2026-06-01T00:00:00Z",
		"turn2/10-lone-vcek/evidence-v1.json":                   "2026-06-01T00:00:00Z",
	} {
		t.Run(file, func(t *testing.T) {
			found := must(inspect.Recognise(samples.Read(t, file)))(t)
			evidence, _ := found.Evidence()
			v := verify.OfEvidence(verify.Given{Evidence: evidence, Parts: found.Parts()}, verify.Silicon{Roots: vcek.BuiltinRoots()},
				must(time.Parse(time.RFC3339, at))(t))
			if !v.Passed {
				t.Errorf("%+v", v.Checks)
			}
		})
	}
}

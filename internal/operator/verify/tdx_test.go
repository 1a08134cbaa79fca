package verify_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vtpm"
	"skr/internal/check"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/snptest"
	"skr/test/tdxtest"
	"skr/test/vtpmtest"
)

// tdxMachine is an emulated TDX machine.
type tdxMachine struct {
	vendor   *tdxtest.Vendor
	platform *tdxtest.Platform
	silicon  verify.Silicon
	at       time.Time
}

func newTDX(t *testing.T) *tdxMachine {
	t.Helper()
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	vendor := must(tdxtest.NewVendor(at))(t)
	m := &tdxMachine{vendor: vendor, platform: must(vendor.NewPlatform(tdxtest.PlatformOptions{}))(t), at: at}
	m.silicon.Intel.Roots = must(tdx.ParseRoots(vendor.RootsPEM()))(t)
	return m
}

func (m *tdxMachine) collateral(t *testing.T, o tdxtest.CollateralOptions) *tdx.Collateral {
	t.Helper()
	made := must(m.vendor.Collateral(m.platform, o))(t)
	return must(tdx.ParseCollateral(must(made.Bundle())(t)))(t)
}

// evidence is a quote with its TD report, claims and collateral.
func (m *tdxMachine) evidence(t *testing.T, td tdxtest.TD, o tdxtest.QuoteOptions) inspect.Evidence {
	t.Helper()
	if td.ReportData == (tdx.ReportData{}) {
		td.ReportData = tdx.Bind([]byte(claims))
	}
	report := td.Report()
	return inspect.Evidence{
		TDQuote: must(tdx.ParseQuote(must(m.platform.Quote(report, o))(t)))(t), TDReport: must(tdx.ParseReport(report))(t), RuntimeData: []byte(claims),
		Collateral: m.collateral(t, tdxtest.CollateralOptions{}),
	}
}

// Each fault fails exactly the checks that concern it, and what was not looked at is listed.
func TestOfTDX(t *testing.T) {
	m, other := newTDX(t), newTDX(t)
	debug := tdx.Attributes(1)
	policy := func(statuses ...string) func(*verify.Given, *verify.Silicon) {
		return func(_ *verify.Given, s *verify.Silicon) { s.Intel.Policy = must(tdx.ParsePolicy(statuses...))(t) }
	}
	both := func(changes ...func(*verify.Given, *verify.Silicon)) func(*verify.Given, *verify.Silicon) {
		return func(g *verify.Given, s *verify.Silicon) {
			for _, change := range changes {
				change(g, s)
			}
		}
	}
	collateral := func(o tdxtest.CollateralOptions) func(*verify.Given, *verify.Silicon) {
		return func(g *verify.Given, _ *verify.Silicon) { g.Collateral = m.collateral(t, o) }
	}
	none := func(g *verify.Given, _ *verify.Silicon) { g.Collateral = nil }
	given := func(change func(*verify.Given)) func(*verify.Given, *verify.Silicon) {
		return func(g *verify.Given, _ *verify.Silicon) { change(g) }
	}
	find := func(c *tdx.Collateral, err error) func(*verify.Given, *verify.Silicon) {
		return func(_ *verify.Given, s *verify.Silicon) {
			s.Intel.Find = func(*tdx.Quote) (*tdx.Collateral, error) { return c, err }
		}
	}
	outOfDate := tdxtest.CollateralOptions{Issued: m.at.AddDate(0, -2, 0)}
	behind := tdxtest.CollateralOptions{QEIdentity: func(all map[string]any) {
		all["tcbLevels"] = []any{tdxtest.ISVSVN(9, "UpToDate"), tdxtest.ISVSVN(1, "OutOfDate")}
	}}
	revoked := tdxtest.CollateralOptions{Revoked: []*x509.Certificate{m.platform.Certificate()}}
	for _, c := range []struct {
		name   string
		td     tdxtest.TD
		o      tdxtest.QuoteOptions
		change func(*verify.Given, *verify.Silicon)
		failed []string
		unseen string // in NotLookedAt
	}{
		{"good", tdxtest.TD{}, tdxtest.QuoteOptions{}, nil, nil, "whether MRTD is one that you accept"},
		{"version 5", tdxtest.TD{}, tdxtest.QuoteOptions{Version: 5}, policy("UpToDate"), nil, ""},
		{"a changed quote", tdxtest.TD{}, tdxtest.QuoteOptions{Key: other.platform.Key()}, nil, []string{"TDX signature"}, ""},
		{"another enclave", tdxtest.TD{}, tdxtest.QuoteOptions{QE: func(raw []byte) { raw[128]++ }}, nil, []string{"QE report", "TCB level"}, ""},
		{"Intel's root", tdxtest.TD{}, tdxtest.QuoteOptions{}, func(_ *verify.Given, s *verify.Silicon) { s.Intel.Roots = nil },
			[]string{"PCK certificate", "collateral"}, ""},
		{"debug", tdxtest.TD{Attributes: &debug}, tdxtest.QuoteOptions{}, nil, []string{"TD attributes"}, ""},
		{"another TD report", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) {
			g.TDReport = must(tdx.ParseReport(tdxtest.TD{MRTD: tdx.Measurement{1}}.Report()))(t)
		}), []string{"TD report"}, ""},
		{"no TD report", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.TDReport = nil }), nil, "TD report (none was given)"},
		{"a TD report alone", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.TDQuote = nil }),
			[]string{"TDX quote", "runtime data", "PCK certificate", "QE report", "TDX signature", "TD attributes"}, ""},
		{"a quote that cannot be read", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.TDQuote, g.TDQuoteErr = nil, errors.New("bad") }),
			[]string{"TDX quote", "runtime data", "PCK certificate", "QE report", "TDX signature", "TD attributes"}, ""},
		{"a TD report that cannot be read", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.TDReport, g.TDReportErr = nil, errors.New("bad") }),
			[]string{"TD report"}, ""},
		{"other claims", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.RuntimeData = []byte("{}") }), []string{"runtime data"}, ""},
		{"other data", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.GivenData = []byte("{}") }), []string{"runtime data"}, ""},
		{"no data", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.RuntimeData = nil }), nil, "runtime data (none was given)"},
		{"AMD's chain", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.GivenChain = newMachine(t).chain }), []string{"certificate chain"}, ""},

		{"no collateral", tdxtest.TD{}, tdxtest.QuoteOptions{}, none, nil, "TCB level (there is none: give it as a file, or name collateral_sources)"},
		{"no collateral, demanded", tdxtest.TD{}, tdxtest.QuoteOptions{}, both(none, policy("UpToDate")), []string{"collateral", "revocation", "TCB level"}, ""},
		{"collateral of a source", tdxtest.TD{}, tdxtest.QuoteOptions{},
			both(none, find(m.collateral(t, tdxtest.CollateralOptions{}), nil), policy("UpToDate")), nil, ""},
		{"a source that fails", tdxtest.TD{}, tdxtest.QuoteOptions{}, both(none, find(nil, errors.New("no route"))), nil, "revocation (no route)"},
		{"a source that fails, demanded", tdxtest.TD{}, tdxtest.QuoteOptions{}, both(none, find(nil, errors.New("no route")), policy("UpToDate")),
			[]string{"collateral", "revocation", "TCB level"}, ""},
		{"collateral of another vendor", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) {
			g.Collateral = other.collateral(t, tdxtest.CollateralOptions{})
		}), []string{"collateral"}, "TCB level (the collateral cannot be used)"},
		{"collateral that cannot be read", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.CollateralErr = errors.New("bad") }),
			[]string{"collateral"}, ""},
		{"out of date", tdxtest.TD{}, tdxtest.QuoteOptions{}, collateral(outOfDate), nil,
			"what Intel says at this time (collateral: TCB info (valid from 2026-04-01"},
		{"out of date, demanded", tdxtest.TD{}, tdxtest.QuoteOptions{}, both(collateral(outOfDate), policy("UpToDate")), []string{"collateral"}, ""},
		{"without lists", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.Collateral.PCKCRL, g.Collateral.RootCRL = nil, nil }), nil,
			"revocation (there are no revocation lists)"},
		{"without lists, demanded", tdxtest.TD{}, tdxtest.QuoteOptions{}, both(given(func(g *verify.Given) { g.Collateral.PCKCRL, g.Collateral.RootCRL = nil, nil }),
			policy("UpToDate")), []string{"collateral", "revocation"}, ""},
		{"one list", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.Collateral.RootCRL = nil }), nil, "root CRL is missing"},
		{"lists alone", tdxtest.TD{}, tdxtest.QuoteOptions{}, given(func(g *verify.Given) { g.Collateral.TCBInfo = nil }), nil,
			"TCB level (it needs TCB info and QE identity)"},
		{"revoked", tdxtest.TD{}, tdxtest.QuoteOptions{}, collateral(revoked), []string{"revocation"}, ""},
		{"behind", tdxtest.TD{}, tdxtest.QuoteOptions{}, collateral(behind), nil, ""},
		{"behind, not accepted", tdxtest.TD{}, tdxtest.QuoteOptions{}, both(collateral(behind), policy("UpToDate")), []string{"TCB level"}, ""},
		{"behind, accepted", tdxtest.TD{}, tdxtest.QuoteOptions{}, both(collateral(behind), policy("UpToDate", "OutOfDate")), nil, ""},
		{"another signer of the module", tdxtest.TD{MRSIGNERSEAM: tdx.Measurement{1}}, tdxtest.QuoteOptions{}, nil, []string{"TCB level"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, silicon := verify.Given{Evidence: m.evidence(t, c.td, c.o)}, m.silicon
			if c.change != nil {
				c.change(&g, &silicon)
			}
			v := verify.OfEvidence(g, silicon, m.at)
			failed := v.Failures()
			slices.Sort(failed)
			slices.Sort(c.failed)
			if !slices.Equal(failed, c.failed) || v.Passed != (len(c.failed) == 0) {
				t.Errorf("failed %q, want %q: %+v", failed, c.failed, v.Checks)
			}
			if text := strings.Join(v.NotLookedAt, "; "); !strings.Contains(text, c.unseen) {
				t.Errorf("not looked at %q, want %q", text, c.unseen)
			}
			for _, r := range v.Checks {
				if r.Outcome == check.Failed && r.Err != nil && r.Fix == "" {
					t.Errorf("%s has no advice", r.Name)
				}
			}
		})
	}
}

// The boot of a TDX machine is verified by the quote of its HCL report, and MRTD must be pinned.
func TestOfTDXBoot(t *testing.T) {
	m := newTDX(t)
	ak := must(vtpmtest.NewAK())(t)
	log := vtpmtest.SecureBootLog(true)
	td := tdxtest.TD{MRTD: tdx.Measurement{0xab, 2, 3}}
	hclClaims := vtpmtest.Claims(ak.Public(), true)
	mrtd := td.MRTD.String()
	good := func(t *testing.T, policy string) verify.Machine {
		own := td
		own.ReportData = tdx.Bind(hclClaims)
		e := m.evidence(t, own, tdxtest.QuoteOptions{Version: 5})
		e.TDReport, e.RuntimeData = nil, nil // they are in the HCL report
		return verify.Machine{
			Boot: inspect.Boot{
				HCL:   must(vtpm.ParseHCL(vtpmtest.TDXHCL(td, hclClaims, vtpmtest.HCLOptions{})))(t),
				Quote: must(vtpm.ParseQuote(must(ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs()}))(t)))(t), PCRs: log.PCRs(),
				Log: must(vtpm.ParseEventLog(log.Raw()))(t),
			},
			Policy: policyOf(t, "ak: hcl\n%s", policy), Given: verify.Given{Evidence: e},
		}
	}
	pinned := "measurements: [" + mrtd + "]"
	for _, c := range []struct {
		name, policy string
		change       func(*verify.Machine)
		failed       []string
		text         string // of the first failed check
	}{
		{"good", pinned, nil, nil, ""},
		{"any measurement", "measurements: any", nil, nil, ""},
		{"another measurement", "measurements: [" + strings.Repeat("ab", 48) + "]", nil, []string{"launch measurement"}, "the policy does not have " + mrtd},
		{"no measurement", "", nil, []string{"paravisor"}, "not signed by a key of Azure's, and the policy does not pin MRTD, " + mrtd},
		{"keys that sign", "id_keys: [" + strings.Repeat("ab", 48) + "]", nil, []string{"paravisor"}, "a TDX guest has no such key"},
		{"no quote of TDX", pinned, func(m *verify.Machine) { m.Given.TDQuote = nil },
			[]string{"TDX quote", "TD report", "runtime data", "PCK certificate", "QE report", "TDX signature",
				"TD attributes", "launch measurement"}, "proves nothing"},
		{"the quote of another machine", pinned, func(v *verify.Machine) {
			v.Given.TDQuote = m.evidence(t, tdxtest.TD{MRTD: td.MRTD, ReportData: tdx.ReportData{1}}, tdxtest.QuoteOptions{}).TDQuote
		}, []string{"TD report", "runtime data"}, "they differ in REPORTDATA"},
		{"claims of another key", pinned, func(v *verify.Machine) {
			other := must(vtpmtest.NewAK())(t)
			v.Boot.HCL = must(vtpm.ParseHCL(vtpmtest.TDXHCL(td, vtpmtest.Claims(other.Public(), true), vtpmtest.HCLOptions{})))(t)
		}, []string{"TD report", "runtime data", "quote signature"}, "they differ in REPORTDATA"},
		{"AMD's chain", pinned, func(v *verify.Machine) { v.Given.GivenChain = newMachine(t).chain }, []string{"certificate chain"}, "AMD's"},
		{"secure boot is off", pinned, func(v *verify.Machine) { v.Boot.Log = nil }, []string{"event log", "secure boot"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			machine := good(t, c.policy)
			if c.change != nil {
				c.change(&machine)
			}
			v := verify.OfBoot(machine, m.silicon, m.at)
			failed := v.Failures()
			if len(failed) > 0 && !strings.Contains(checkNamed(t, v, failed[0]).Found, c.text) {
				t.Errorf("%+v, want %q", checkNamed(t, v, failed[0]), c.text)
			}
			slices.Sort(failed)
			slices.Sort(c.failed)
			if !slices.Equal(failed, c.failed) {
				t.Errorf("failed %q, want %q: %+v", failed, c.failed, v.Checks)
			}
			for _, text := range v.NotLookedAt {
				if text == "revocation lists" {
					t.Error("the lists were looked at")
				}
			}
		})
	}
}

// An SEV-SNP report counts, even if evidence of TDX is beside it.
func TestReportBesideTDX(t *testing.T) {
	amd, intel := newMachine(t), newTDX(t)
	e := intel.evidence(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	e.Report, e.Chain = must(snp.Parse(must(amd.chip.Report(snp.Bind([]byte(claims)), snptest.Options{}))(t)))(t), amd.chain
	silicon := intel.silicon
	silicon.Roots = amd.silicon.Roots
	v := verify.OfEvidence(verify.Given{Evidence: e}, silicon, time.Now())
	if !v.Passed || checkNamed(t, v, "report").Outcome != check.OK {
		t.Errorf("%+v", v.Checks)
	}
}

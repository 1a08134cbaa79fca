package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vcek"
	"skr/internal/refusal"
	"skr/test/swtpm"
	"skr/test/tdxtest"
)

// tdHost is the host of an emulated TDX machine.
type tdHost struct {
	vendor   *tdxtest.Vendor
	platform *tdxtest.Platform
	td       tdxtest.TD
	options  tdxtest.QuoteOptions
	quoted   *tdxtest.TD // what the host quotes in place of the report; nil for the report
	err      error
}

var _ Quoter = (*tdHost)(nil)

func newTDHost(t *testing.T) *tdHost {
	t.Helper()
	vendor, err := tdxtest.NewVendor(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	platform, err := vendor.NewPlatform(tdxtest.PlatformOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &tdHost{vendor: vendor, platform: platform, td: tdxtest.TD{MRTD: tdx.Measurement{1}}}
}

func (h *tdHost) report(data tdx.ReportData) ([]byte, error) {
	td := h.td
	td.ReportData = data
	return td.Report(), nil
}

func (h *tdHost) Quote(_ context.Context, report *tdx.Report) (*tdx.Quote, error) {
	if h.err != nil {
		return nil, h.err
	}
	source := report.Raw()
	if h.quoted != nil {
		source = h.quoted.Report()
	}
	raw, err := h.platform.Quote(source, h.options)
	if err != nil {
		return nil, err
	}
	return tdx.ParseQuote(raw)
}

func (h *tdHost) verifier(t *testing.T, c tdx.Config) *tdx.Verifier {
	t.Helper()
	var err error
	if c.Roots, err = tdx.ParseRoots(h.vendor.RootsPEM()); err != nil {
		t.Fatal(err)
	}
	return tdx.NewVerifier(c)
}

// attester returns an Attester of a machine on the host.
func (h *tdHost) attester(t *testing.T, c tdx.Config) *Attester {
	t.Helper()
	machine := swtpm.Require(t, swtpm.Config{TDReport: h.report, Now: hasty()})
	a := of(t, machine, func(config *VirtualTPMConfig) { config.Quoter = h })
	a.config.TDX = h.verifier(t, c)
	return a
}

// One TDX machine's evidence, as Verifiers and operators get it.
func TestConfidentialTDX(t *testing.T) {
	h := newTDHost(t)
	a := h.attester(t, tdx.Config{})
	h.err = errors.New("closed")
	if platform, err := a.Platform(t.Context()); err != nil || platform != ConfidentialTDX || !platform.HasTPM() || !platform.IsTDX() {
		t.Fatalf("platform %s, error %v", platform, err) // known without the host
	}
	h.err = nil
	for _, version := range []uint16{4, 5} {
		h.options.Version = version
		data := fmt.Appendf(nil, `{"version":%d}`, version)
		evidence, err := a.Evidence(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		bound := snp.Bind(data)
		if got, _ := evidence.Guest.HCL.Claims().UserData(); !bytes.Equal(got, bound[:]) {
			t.Errorf("user data %x, want %x", got, bound)
		}
		q := evidence.TDQuote
		if q.Version() != version || q.ReportData() != tdx.Bind(evidence.Bound()) || evidence.Report != nil || evidence.Guest.Key == nil || evidence.TDResult.Level != nil {
			t.Errorf("evidence %+v", evidence)
		}
	}
	verbatim, err := a.Verbatim(t.Context(), []byte("data"))
	if err != nil || verbatim.TDQuote.ReportData() != tdx.Bind(verbatim.Bound()) || len(verbatim.Guest.PCRs) != 24 {
		t.Fatalf("verbatim evidence %+v, error %v", verbatim, err)
	}
	if got, _ := verbatim.Guest.HCL.Claims().UserData(); !bytes.Equal(got, append([]byte("data"), make([]byte, 60)...)) {
		t.Errorf("user data %x", got)
	}
	report, err := a.Report(t.Context(), []byte("other"))
	if err != nil || report.TDQuote == nil || report.Guest.HCL == nil || report.Guest.Key != nil {
		t.Errorf("report %+v, error %v", report, err)
	}
}

// A quote that does not verify never leaves, in a report or in evidence. Nothing about it makes the
// machine pass for Trusted Launch.
func TestTDQuoteMustVerify(t *testing.T) {
	other, debug, migratable := newTDHost(t), tdx.Attributes(1), tdx.Attributes(1<<29)
	for name, c := range map[string]struct {
		change func(*tdHost)
		kind   *refusal.Kind
		want   string
	}{
		"no quote":          {func(h *tdHost) { h.err = fmt.Errorf("%w: status 415", tdx.ErrNoQuote) }, refusal.NoEvidence, "415"},
		"host unreachable":  {func(h *tdHost) { h.err = refusal.Newf(refusal.Unavailable, "closed") }, refusal.Unavailable, "closed"},
		"host busy":         {func(h *tdHost) { h.err = refusal.Newf(refusal.Throttled, "busy") }, refusal.Throttled, "busy"},
		"another report":    {func(h *tdHost) { h.err = fmt.Errorf("%w: MRTD", tdx.ErrOtherReport) }, refusal.NoEvidence, "MRTD"},
		"another TD":        {func(h *tdHost) { h.quoted = &tdxtest.TD{MRTD: tdx.Measurement{9}} }, refusal.NoEvidence, "REPORTDATA"},
		"another root":      {func(h *tdHost) { h.platform = other.platform }, refusal.NoEvidence, "not among the trusted Intel roots"},
		"another signer":    {func(h *tdHost) { h.options.Key = other.platform.Key() }, refusal.NoEvidence, "signature does not verify"},
		"debuggable":        {func(h *tdHost) { h.td.Attributes = &debug }, refusal.NoEvidence, "DEBUG"},
		"migratable":        {func(h *tdHost) { h.td.Attributes = &migratable }, refusal.NoEvidence, "MIGRATABLE"},
		"another enclave":   {func(h *tdHost) { h.options.QE = func(qe []byte) { qe[128] ^= 1 } }, refusal.NoEvidence, "QE report"},
		"no host was given": {func(h *tdHost) { h.err = errNoQuoter }, refusal.NoEvidence, "host that quotes"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTDHost(t)
			a := h.attester(t, tdx.Config{})
			c.change(h)
			_, err := a.Evidence(t.Context(), nil)
			_, reported := a.Report(t.Context(), nil)
			for _, err := range []error{err, reported} {
				if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %s with %q", err, c.kind, c.want)
				}
			}
		})
	}
}

// Without a Quoter, a TDX machine is refused.
func TestNoQuoter(t *testing.T) {
	h := newTDHost(t)
	a := of(t, swtpm.Require(t, swtpm.Config{TDReport: h.report, Now: hasty()}), nil)
	if _, err := a.Evidence(t.Context(), nil); !errors.Is(err, ErrNoEvidence) || !strings.Contains(err.Error(), errNoQuoter.Error()) {
		t.Errorf("error %v", err)
	}
}

// What tcb_status demands is demanded of evidence. A raw report is verified without it.
func TestTCBPolicy(t *testing.T) {
	policy, err := tdx.ParsePolicy("UpToDate")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options tdxtest.CollateralOptions
		none    bool
		want    string
	}{
		"UpToDate":  {},
		"OutOfDate": {options: tdxtest.CollateralOptions{TCBInfo: tdxtest.OutOfDate}, want: "OutOfDate"},
		"none":      {none: true, want: "there are no sources"},
	} {
		h := newTDHost(t)
		collateral, err := h.vendor.Collateral(h.platform, c.options)
		if err != nil {
			t.Fatal(err)
		}
		file, err := collateral.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		config := tdx.Config{Policy: policy, Sources: []tdx.Source{tdx.NewFileSource("file", file)}}
		if c.none {
			config.Sources = nil
		}
		a := h.attester(t, config)
		evidence, err := a.Evidence(t.Context(), nil)
		switch {
		case c.want == "" && (err != nil || evidence.TDResult.Level.Status != tdx.UpToDate):
			t.Errorf("%s: %+v, error %v", name, evidence, err)
		case c.want != "" && (!errors.Is(err, ErrNoEndorsements) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if _, err := a.Report(t.Context(), nil); err != nil {
			t.Errorf("%s: a raw report: %v", name, err)
		}
	}
}

// tdSource is a TDX machine without a paravisor.
type tdSource struct {
	host *tdHost
	data *tdx.ReportData // quoted in place of what is asked for, if not nil
	err  error
}

func (s tdSource) String() string { return "a TD" }
func (s tdSource) Quote(ctx context.Context, data tdx.ReportData) (*tdx.Quote, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.data != nil {
		data = *s.data
	}
	raw, err := s.host.report(data)
	if err != nil {
		return nil, err
	}
	report, err := tdx.ParseReport(raw)
	if err != nil {
		return nil, err
	}
	return s.host.Quote(ctx, report)
}

// The sources are tried in order, and the one that answered is asked from then on.
func TestDirectTDX(t *testing.T) {
	h := newTDHost(t)
	noChip := source(func(context.Context, snp.ReportData) (*snp.Report, error) { return nil, errors.New("no chip here") })
	absent := NewVirtualTPM(VirtualTPMConfig{Address: "/nonexistent/tpm"})
	for name, c := range map[string]struct {
		source source
		td     tdSource
		want   Platform
		text   string
	}{
		"TD":         {noChip, tdSource{host: h}, DirectTDX, ""},
		"chip first": {honest(t), tdSource{host: h}, Direct, ""},
		"neither":    {noChip, tdSource{err: errors.New("no TD here")}, 0, "no chip here; no TD here; no virtual TPM"},
		"other data": {noChip, tdSource{host: h, data: &tdx.ReportData{1}}, 0, "over other data"},
	} {
		a := NewAttester(Config{Source: c.source, TDSource: c.td, VirtualTPM: absent, Endorser: endorser{chain: new(vcek.Chain)}, TDX: h.verifier(t, tdx.Config{})})
		for range 2 {
			got, err := a.Platform(t.Context())
			if got != c.want || (err == nil) != (c.text == "") || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: platform %s, error %v", name, got, err)
			}
		}
		if c.want != DirectTDX {
			continue
		}
		for _, collect := range []func(context.Context, []byte) (*Evidence, error){a.Evidence, a.Report} {
			evidence, err := collect(t.Context(), []byte("data"))
			if err != nil || evidence.TDQuote.ReportData() != tdx.Bind([]byte("data")) || evidence.Guest != nil || evidence.TDResult == nil {
				t.Errorf("%s: evidence %+v, error %v", name, evidence, err)
			}
		}
		evidence, err := a.Verbatim(t.Context(), []byte("data"))
		if err != nil || evidence.TDQuote.ReportData() != (tdx.ReportData{'d', 'a', 't', 'a'}) || evidence.TDResult == nil {
			t.Errorf("%s: verbatim evidence %+v, error %v", name, evidence, err)
		}
		if a.String() != "a TD" || c.want.HasTPM() {
			t.Errorf("%s: the source is named %s", name, a)
		}
	}
}

// The kernel's interface does not exist on the machines that run this test.
func TestTDGuestHere(t *testing.T) {
	_, err := NewTDGuest().Quote(t.Context(), tdx.ReportData{})
	if !errors.Is(err, tdx.ErrNoQuote) || !strings.Contains(err.Error(), "configfs-tsm") {
		t.Errorf("error %v", err)
	}
}

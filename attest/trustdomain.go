package attest

import (
	"context"
	"errors"
	"fmt"

	"skr/attest/firmware"
	"skr/attest/tdx"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

// TDSource gives quotes of this machine, a TDX virtual machine, over data that this program
// chooses.
type TDSource interface {
	// Quote returns a fresh quote over data. It does not verify the quote. Its error wraps
	// tdx.ErrNoQuote, and the context's error if that is the reason.
	Quote(ctx context.Context, data tdx.ReportData) (*tdx.Quote, error)
	// String returns the name of the source for people, such as "configfs-tsm".
	String() string
}

// Quoter has a TD report of this machine quoted by its host. A *tdx.Host is one.
type Quoter interface {
	// Quote returns the quote of a TD report. It checks that both are of the same TD, and
	// does not verify the quote. Its error wraps tdx.ErrNoQuote.
	Quote(ctx context.Context, report *tdx.Report) (*tdx.Quote, error)
}

var _ Quoter = (*tdx.Host)(nil)

// tdGuest is the kernel's driver of a TDX virtual machine without a paravisor.
type tdGuest struct{ device *firmware.Device }

// NewTDGuest returns the source of a machine with the kernel's driver tdx_guest, which gives
// quotes through configfs-tsm. Azure's machines do not have it: their paravisor hides TDX.
func NewTDGuest() TDSource { return tdGuest{firmware.ConfigFS(firmware.TDXGuest)} }

func (g tdGuest) String() string { return g.device.String() }

func (g tdGuest) Quote(ctx context.Context, data tdx.ReportData) (*tdx.Quote, error) {
	raw, err := g.device.Fetch(ctx, data)
	var q *tdx.Quote
	if err == nil {
		q, err = tdx.ParseQuote(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%w from %s: %w", tdx.ErrNoQuote, g, err)
	}
	return q, nil
}

// askTD asks the TDX module for a quote that binds these data.
func (a *Attester) askTD(ctx context.Context, bound binding) (*Evidence, error) {
	want := tdx.ReportData(bound.reportData)
	q, err := a.config.TDSource.Quote(ctx, want)
	if err != nil {
		return nil, err
	}
	if q.ReportData() != want {
		return nil, refusal.Newf(refusal.NoEvidence,
			"%s answered with a TDX quote over other data than was asked for", a.config.TDSource)
	}
	return &Evidence{TDQuote: q, RuntimeData: bound.runtimeData, bound: bound}, nil
}

// quote has the host quote the TD report of the paravisor, if there is one.
func (a *Attester) quote(ctx context.Context, e *Evidence) error {
	report := e.tdReport()
	if report == nil || e.TDQuote != nil {
		return nil
	}
	done := journal.Begin(ctx, journal.Report)
	q, err := a.config.VirtualTPM.quote(ctx, report)
	done(err)
	if err != nil {
		return unquoted(ctx, err)
	}
	e.TDQuote = q
	return nil
}

var errNoQuoter = errors.New("this program was not given a host that quotes TD reports")

func (v *VirtualTPM) quote(ctx context.Context, report *tdx.Report) (*tdx.Quote, error) {
	if v.config.Quoter == nil {
		return nil, errNoQuoter
	}
	return v.config.Quoter.Quote(ctx, report)
}

// unquoted returns the refusal for a host that returned no quote. The error of its client has
// a kind if the host cannot be reached or is busy.
func unquoted(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "the TDX quote did not come in time", err)
	case ctx.Err() != nil:
		return fmt.Errorf("getting a TDX quote: %w", ctx.Err())
	case errors.Is(err, tdx.ErrOtherReport):
		return refusal.Because(refusal.NoEvidence, err.Error(),
			refusal.Advised(err, "the host quoted another machine's report: check what answers at imds_url, or have the machine redeployed"))
	case errors.Is(err, refusal.Throttled), errors.Is(err, refusal.Unavailable), errors.Is(err, refusal.Timeout):
		return err
	case errors.Is(err, refusal.Untrusted): // the host is part of this machine, and not a service
		err = errors.New(err.Error())
	}
	return refusal.Because(refusal.NoEvidence, err.Error(),
		refusal.Advised(err, "only Azure's host answers /acc/tdquote: check imds_url, and that nothing redirects 169.254.169.254"))
}

// wantedReportData returns what REPORTDATA of the quote must be: the hash of the paravisor's
// claims or, without a paravisor, what this program asked for.
func (e *Evidence) wantedReportData() tdx.ReportData {
	if e.tdReport() != nil {
		return tdx.Bind(e.Bound())
	}
	return tdx.ReportData(e.bound.reportData)
}

// verifyQuote verifies the quote with what Intel says about its platform.
func (a *Attester) verifyQuote(ctx context.Context, e *Evidence) (err error) {
	done := journal.Begin(ctx, journal.Endorse)
	e.TDResult, err = a.config.TDX.Verify(ctx, e.TDQuote, e.wantedReportData())
	done(err)
	return distrusted(ctx, err)
}

// verifyQuoteAlone verifies the quote with its own certificates.
func (a *Attester) verifyQuoteAlone(ctx context.Context, e *Evidence) (err error) {
	e.TDResult, err = a.config.TDX.VerifyAlone(e.TDQuote, e.wantedReportData())
	return distrusted(ctx, err)
}

// distrusted returns the refusal for a quote that does not verify.
func distrusted(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	kind, advice := refusal.NoEvidence, "have the machine redeployed"
	told := "the TDX quote of this machine does not verify: " + err.Error()
	err = fmt.Errorf("the TDX quote of this machine does not verify: %w", err)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "the deadline passed while looking for the collateral of the TDX quote", err)
	case ctx.Err() != nil:
		return fmt.Errorf("looking for the collateral of the TDX quote: %w", ctx.Err())
	case errors.Is(err, tdx.ErrAttributes):
		advice = "deploy the machine without debugging and migration"
	case errors.Is(err, tdx.ErrUntrustedChain):
		advice = "check this machine's clock; intel_roots has other roots, if the silicon is not Intel's"
	case errors.Is(err, tdx.ErrNoCollateral):
		kind, advice = refusal.NoEndorsements, "set collateral_sources, or see which of them failed, and why; tcb_status demands collateral"
		told = "the collateral that tcb_status demands is missing or out of date; this sidecar's log says why"
	case errors.Is(err, tdx.ErrTCBStatus):
		kind, advice = refusal.NoEndorsements, "move the machine to another host, or accept the status in tcb_status if your policy allows it"
	case errors.Is(err, tdx.ErrRevoked):
		kind, advice = refusal.NoEndorsements, "move the machine to another host: Intel does not trust this one any more"
	case errors.Is(err, tdx.ErrCollateral):
		kind, advice = refusal.NoEndorsements, "see which of collateral_sources gave it: it is not Intel's for this machine"
	}
	return refusal.Because(kind, told, refusal.Advised(err, advice))
}

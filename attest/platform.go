package attest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"skr/attest/snp"
	"skr/attest/tpm"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

// Platform is the way in which a machine attests itself. It decides which key a vault
// wraps to.
type Platform int

// The platforms.
const (
	// Direct means that the chip reports to this program, over data that this program
	// chooses (Confidential ACI, AKS confidential containers).
	Direct Platform = iota + 1
	// ConfidentialVM means that the chip reports to the paravisor, over claims that name
	// the keys of its virtual TPM.
	ConfidentialVM
	// TrustedLaunch means that there is only a virtual TPM.
	TrustedLaunch
	// DirectTDX is Direct with Intel TDX: a virtual machine without a paravisor.
	DirectTDX
	// ConfidentialTDX is ConfidentialVM with Intel TDX.
	ConfidentialTDX
)

func (p Platform) String() string {
	switch p {
	case Direct:
		return "SEV-SNP"
	case ConfidentialVM:
		return "confidential VM"
	case TrustedLaunch:
		return "Trusted Launch"
	case DirectTDX:
		return "TDX"
	case ConfidentialTDX:
		return "TDX confidential VM"
	}
	return "unknown"
}

// IsTDX reports whether Intel TDX isolates the machine.
func (p Platform) IsTDX() bool { return p == DirectTDX || p == ConfidentialTDX }

// HasTPM reports whether evidence includes a key of the virtual TPM, which vaults then
// wrap to.
func (p Platform) HasTPM() bool {
	return p == ConfidentialVM || p == TrustedLaunch || p == ConfidentialTDX
}

// Platform returns what kind of machine this is. The result is cached. Its errors are
// those of Report.
func (a *Attester) Platform(ctx context.Context) (Platform, error) {
	if kept := a.kept.Load(); kept != nil {
		return kept.platform, nil
	}
	if a.config.VirtualTPM == nil && a.config.TDSource == nil {
		return Direct, nil
	}
	evidence, err := a.collect(ctx, hashed(nil))
	if err != nil {
		return 0, err
	}
	return platformOf(evidence), nil
}

func platformOf(evidence *Evidence) Platform {
	switch {
	case evidence.Guest == nil && evidence.TDQuote != nil:
		return DirectTDX
	case evidence.Guest == nil:
		return Direct
	case evidence.tdReport() != nil:
		return ConfidentialTDX
	case evidence.Report != nil:
		return ConfidentialVM
	}
	return TrustedLaunch
}

// String returns where evidence comes from, such as "/dev/sev-guest".
func (a *Attester) String() string {
	switch kept := a.kept.Load(); {
	case kept != nil && kept.platform.HasTPM(), a.config.Source == nil && a.config.TDSource == nil:
		return "the virtual TPM at " + a.config.VirtualTPM.String()
	case kept != nil && kept.platform == DirectTDX, a.config.Source == nil:
		return a.config.TDSource.String()
	default:
		return a.config.Source.String()
	}
}

// found is the detected platform. It does not change while the program runs.
type found struct{ platform Platform }

// collect returns evidence without endorsements. It verifies what can be verified without
// them.
func (a *Attester) collect(ctx context.Context, bound binding) (*Evidence, error) {
	done := journal.Begin(ctx, journal.Report)
	evidence, err := a.ask(ctx, bound)
	done(err)
	if err != nil {
		return nil, unreported(ctx, err)
	}
	if a.kept.Load() == nil {
		a.kept.Store(&found{platformOf(evidence)})
	}
	return evidence, nil
}

// way asks one source of evidence.
type way func(ctx context.Context, bound binding) (*Evidence, error)

// ways returns the configured sources, or only the one of the platform if that is known.
func (a *Attester) ways() (ways []way) {
	kept := a.kept.Load()
	of := func(configured bool, platforms ...Platform) bool {
		return configured && (kept == nil || slices.Contains(platforms, kept.platform))
	}
	if of(a.config.Source != nil, Direct) {
		ways = append(ways, a.askChip)
	}
	if of(a.config.TDSource != nil, DirectTDX) {
		ways = append(ways, a.askTD)
	}
	if of(a.config.VirtualTPM != nil, ConfidentialVM, ConfidentialTDX, TrustedLaunch) {
		ways = append(ways, a.config.VirtualTPM.collect)
	}
	return ways
}

// ask asks the sources in order until one has evidence. A wrong answer ends the search.
func (a *Attester) ask(ctx context.Context, bound binding) (*Evidence, error) {
	var failed error
	for _, ask := range a.ways() {
		evidence, err := ask(ctx, bound)
		if err == nil {
			return evidence, nil
		}
		wrong := ctx.Err() != nil || errors.Is(err, refusal.NoEvidence)
		if failed != nil {
			err = fmt.Errorf("%w; %w", failed, err)
		}
		if failed = err; wrong {
			break
		}
	}
	return nil, failed
}

func (a *Attester) askChip(ctx context.Context, bound binding) (*Evidence, error) {
	report, err := a.config.Source.Report(ctx, bound.reportData)
	if err != nil {
		return nil, err
	}
	if report.ReportData() != bound.reportData {
		return nil, refusal.Newf(refusal.NoEvidence,
			"%s answered with a report over other data than was asked for", a.config.Source)
	}
	evidence := &Evidence{Report: report, RuntimeData: bound.runtimeData, Endorsement: a.config.Endorsement, bound: bound}
	evidence.omit(UVMEndorsement, a.config.EndorsementErr)
	return evidence, nil
}

// busyPause is the Retry-After for a busy TPM: the paravisor makes one report in that
// time.
const busyPause = 2 * time.Second

// busy returns a refusal that tells the caller to retry: the machine is not at fault.
func busy(err error) error {
	return &refusal.Error{
		Kind: refusal.Throttled, RetryAfter: busyPause, Err: err,
		Reason: "the virtual TPM serves other requests of this node; try again",
	}
}

// unreported returns the refusal for an error of a Source or TPM. The text of a Source is
// for operators: it lists what was tried. If the request ended first, that is the reason,
// and not the device.
func unreported(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, refusal.NoEvidence):
		return err
	case errors.Is(err, tpm.ErrBusy):
		return busy(err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "the attestation report did not come in time",
			refusal.Advised(err, "the report source does not answer: restart it, or the machine"))
	case ctx.Err() != nil:
		return fmt.Errorf("getting a report: %w", ctx.Err())
	default:
		return refusal.Because(refusal.NoEvidence, err.Error(), refusal.Advised(err, sourceAdvice(err)))
	}
}

// sourceAdvice returns what to do about a source that exists and gives no report, or "" if
// the kind of the refusal is enough.
func sourceAdvice(err error) string {
	switch {
	case errors.Is(err, snp.ErrService):
		return "the service of the report socket refuses: see its log"
	case errors.Is(err, fs.ErrPermission):
		return "let the container's user open the device or socket: run with the group that owns it"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens on that socket: start the service that gives reports, `skr agent`"
	}
	return ""
}

package attest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
)

func (p Platform) String() string {
	switch p {
	case Direct:
		return "SEV-SNP"
	case ConfidentialVM:
		return "confidential VM"
	case TrustedLaunch:
		return "Trusted Launch"
	}
	return "unknown"
}

// HasTPM reports whether evidence includes a key of the virtual TPM, which vaults then
// wrap to.
func (p Platform) HasTPM() bool { return p == ConfidentialVM || p == TrustedLaunch }

// Platform returns what kind of machine this is. The result is cached. Its errors are
// those of Report.
func (a *Attester) Platform(ctx context.Context) (Platform, error) {
	if kept := a.kept.Load(); kept != nil {
		return kept.platform, nil
	}
	if a.config.VirtualTPM == nil {
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
	case evidence.Guest == nil:
		return Direct
	case evidence.Report != nil:
		return ConfidentialVM
	}
	return TrustedLaunch
}

// String returns where evidence comes from, such as "/dev/sev-guest".
func (a *Attester) String() string {
	switch kept := a.kept.Load(); {
	case kept != nil && kept.platform.HasTPM(), a.config.Source == nil:
		return "the virtual TPM at " + a.config.VirtualTPM.String()
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

// ask asks the chip, or the virtual TPM if the chip cannot be asked.
func (a *Attester) ask(ctx context.Context, bound binding) (*Evidence, error) {
	kept := a.kept.Load()
	switch {
	case a.config.VirtualTPM == nil, kept != nil && !kept.platform.HasTPM():
		return a.askChip(ctx, bound)
	case a.config.Source == nil, kept != nil:
		return a.config.VirtualTPM.collect(ctx, bound)
	}
	evidence, unreported := a.askChip(ctx, bound)
	if unreported == nil || ctx.Err() != nil || errors.Is(unreported, refusal.NoEvidence) {
		return evidence, unreported // an answer, even if it is a wrong one
	}
	evidence, err := a.config.VirtualTPM.collect(ctx, bound)
	if err != nil {
		return nil, fmt.Errorf("%w; %w", unreported, err)
	}
	return evidence, nil
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

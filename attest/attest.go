// Package attest is the Attester of RFC 9334: it proves what the machine is
// that this program runs on.
//
// An [Attester] asks the hardware for a report over runtime data, checks that
// the report says what was asked for, adds the certificates that endorse the
// chip and the endorsement of the utility VM, and yields [Evidence]. Nothing
// leaves the machine before each of these has been verified, so that a fault
// of ours is found here and not guessed from a Verifier's refusal.
//
//	evidence, err := attester.Evidence(ctx, jwks)
//	result, err := verifier.Appraise(ctx, authority, evidence)
//
// An [Authority] is a Verifier that the configuration allows, and a [Result]
// is the token that it issued, verified, with its [Claims]. Package attest/maa
// implements the conversation between the two.
//
// The package does not say whether evidence is good enough: that is the policy
// of the Verifier and of the Relying Party.
package attest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/journal"
	"skr/internal/refusal"
)

// What the errors of this package wrap, by who refused.
var (
	// ErrNoEvidence: this machine gives no evidence, or evidence that
	// contradicts itself.
	ErrNoEvidence error = refusal.NoEvidence
	// ErrNoEndorsements: no certificate chain endorses the chip at its TCB.
	ErrNoEndorsements error = refusal.NoEndorsements
)

// Evidence is the only thing given to a Verifier. An Attester has verified it.
type Evidence struct {
	// Report is signed by the chip.
	Report *snp.Report
	// Chain endorses the chip that signed Report, at Report's reported TCB.
	Chain *vcek.Chain
	// RuntimeData are the bytes bound through REPORT_DATA of Report.
	RuntimeData []byte
	// Endorsement is of Report's measurement; nil where the platform gives none.
	Endorsement *uvm.Endorsement
}

// Endorser finds the certificate chain of a report.
type Endorser interface {
	// Chain returns a chain that has verified against the report. Its error
	// wraps a kind of package refusal.
	Chain(ctx context.Context, report *snp.Report) (*vcek.Chain, error)
}

// Config is what an Attester works with.
type Config struct {
	// Source gives reports of this machine.
	Source snp.Source
	// Endorser finds and verifies certificates.
	Endorser Endorser
	// Endorsement of the utility VM; nil where the platform gives none.
	Endorsement *uvm.Endorsement
}

// Attester collects evidence of this machine. It is safe for concurrent use if
// its Source and Endorser are.
type Attester struct{ config Config }

// NewAttester makes an Attester. It touches no device.
func NewAttester(c Config) *Attester { return &Attester{c} }

// Report is a fresh report over runtimeData whose REPORT_DATA has been checked.
// The error wraps ErrNoEvidence, or tells that ctx ended.
func (a *Attester) Report(ctx context.Context, runtimeData []byte) (*snp.Report, error) {
	want := snp.Bind(runtimeData)
	report, err := journal.Do(ctx, journal.Report, func() (*snp.Report, error) { return a.config.Source.Report(ctx, want) })
	if err != nil {
		return nil, unreported(ctx, err)
	}
	if report.ReportData() != want {
		return nil, refusal.Newf(refusal.NoEvidence,
			"%s answered with a report over other data than was asked for", a.config.Source)
	}
	return report, nil
}

// Evidence is a report over runtimeData with all that endorses it. The error
// wraps ErrNoEvidence, ErrNoEndorsements, refusal.Throttled or
// refusal.Unavailable, or tells that ctx ended.
func (a *Attester) Evidence(ctx context.Context, runtimeData []byte) (*Evidence, error) {
	report, err := a.Report(ctx, runtimeData)
	if err != nil {
		return nil, err
	}
	if err := a.checkMeasurement(report); err != nil {
		return nil, err
	}
	chain, err := journal.Do(ctx, journal.Endorse, func() (*vcek.Chain, error) { return a.config.Endorser.Chain(ctx, report) })
	if err != nil {
		return nil, err
	}
	return &Evidence{report, chain, runtimeData, a.config.Endorsement}, nil
}

// checkMeasurement finds an endorsement of another utility VM than this one,
// which a Verifier would answer with "no compliance status" and no reason.
func (a *Attester) checkMeasurement(report *snp.Report) error {
	if a.config.Endorsement == nil {
		return nil
	}
	endorsed, measured := a.config.Endorsement.Measurement(), report.Measurement()
	if endorsed == measured {
		return nil
	}
	return refusal.Newf(refusal.NoEvidence,
		"the utility VM endorsement is for measurement %s but the report's measurement is %s: check the security-context directory",
		hex.EncodeToString(endorsed[:]), hex.EncodeToString(measured[:]))
}

// unreported names why there is no report. The text of a Source is written for
// operators: it says what was tried. When the request ended first, that is the
// reason and not the device.
func unreported(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "the attestation report did not come in time", err)
	case ctx.Err() != nil:
		return fmt.Errorf("attest: getting a report: %w", ctx.Err())
	default:
		return refusal.Because(refusal.NoEvidence, err.Error(), err)
	}
}

// Package attest is the Attester of RFC 9334: it proves what machine this program runs
// on.
//
// An [Attester] requests a report over runtime data from the hardware and checks that
// the report has that data. It adds the certificates that endorse the chip and the
// endorsement of the utility VM, and returns [Evidence]. If the machine has a virtual
// TPM, it adds what the TPM says, the [Guest]. Each part is verified before it leaves the
// machine, so that a fault of this machine is found here and not in a Verifier's refusal.
//
//	evidence, err := attester.Evidence(ctx, jwks)
//	result, err := verifier.Appraise(ctx, authority, evidence)
//
// An [Authority] is a Verifier that the configuration allows, and a [Result]
// is the token that it issued, verified, with its [Claims]. Package attest/maa
// implements the conversation between the two.
//
// The package does not decide whether evidence is good enough: that is the policy of
// the Verifier and of the Relying Party.
package attest

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync/atomic"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

// The errors of this package wrap one of these.
var (
	// ErrNoEvidence means that this machine gives no evidence, or evidence that
	// contradicts itself.
	ErrNoEvidence error = refusal.NoEvidence
	// ErrNoEndorsements means that no certificate chain endorses the chip at its TCB.
	ErrNoEndorsements error = refusal.NoEndorsements
)

// Evidence is all that a Verifier receives. The Attester has verified it.
type Evidence struct {
	// Report is signed by an AMD chip; nil on TDX and with Trusted Launch.
	Report *snp.Report
	// Chain endorses the chip that signed Report, at the reported TCB; nil without a
	// Report.
	Chain *vcek.Chain
	// TDQuote is signed by Intel's quoting enclave; nil on other hardware than TDX.
	TDQuote *tdx.Quote
	// TDResult is what the verification of TDQuote found; nil without a TDQuote.
	TDResult *tdx.Result
	// RuntimeData are the bytes that the evidence binds: through REPORT_DATA of Report
	// (REPORTDATA of TDQuote) or, with a Guest, through its user data and its quote. Nil
	// binds nothing.
	RuntimeData []byte
	// Endorsement endorses the measurement of Report; nil if the platform gives none.
	Endorsement *uvm.Endorsement
	// Guest is what the virtual TPM says; nil if the chip reports to this program
	// directly.
	Guest *Guest
	// Omitted are the optional parts that exist but cannot be used.
	Omitted []Omission

	bound binding
}

// Bound returns the bytes whose SHA-256 is in REPORT_DATA of Report (REPORTDATA of TDQuote):
// the runtime data, or the paravisor's claims. It returns nil for evidence of
// [Attester.Verbatim] without a paravisor, which binds the data themselves.
func (e *Evidence) Bound() []byte {
	if e.Guest != nil && e.Guest.HCL != nil {
		return e.Guest.HCL.Claims().Raw()
	}
	return e.RuntimeData
}

// OfProcessor reports whether a report or quote of the processor is part of the evidence. With
// Trusted Launch it is not.
func (e *Evidence) OfProcessor() bool { return e.Report != nil || e.TDQuote != nil }

// tdReport returns the TD report of the paravisor, or nil on other hardware.
func (e *Evidence) tdReport() *tdx.Report {
	if e.Guest == nil || e.Guest.HCL == nil {
		return nil
	}
	return e.Guest.HCL.TDReport()
}

// Endorser finds the certificate chain of a report.
type Endorser interface {
	// Chain returns a chain that has verified against the report. Its error
	// wraps a kind of package refusal.
	Chain(ctx context.Context, report *snp.Report) (*vcek.Chain, error)
}

// Config describes an Attester. Source, TDSource or VirtualTPM must be set. Those that are set
// are tried in this order.
type Config struct {
	// Source gives SEV-SNP reports of this machine; nil disables it.
	Source snp.Source
	// TDSource gives TDX quotes of this machine; nil disables it.
	TDSource TDSource
	// VirtualTPM is the TPM of an Azure machine; nil disables it.
	VirtualTPM *VirtualTPM
	// TDX verifies TDX quotes; nil means with Intel's root and without collateral.
	TDX *tdx.Verifier
	// Endorser finds and verifies certificates.
	Endorser Endorser
	// Endorsement of the utility VM; nil if the platform gives none.
	Endorsement *uvm.Endorsement
	// EndorsementErr is why the platform's endorsement cannot be used. Evidence then
	// lists it in Omitted.
	EndorsementErr error
}

// Attester collects evidence of this machine. It is safe for concurrent use if
// its Source and Endorser are.
type Attester struct {
	config Config
	kept   atomic.Pointer[found]
}

// NewAttester returns an Attester. It opens no device.
func NewAttester(c Config) *Attester {
	if c.TDX == nil {
		c.TDX = tdx.NewVerifier(tdx.Config{})
	}
	return &Attester{config: c}
}

// Report returns a fresh report over runtimeData without endorsements. On TDX it returns a
// quote, which is verified with the certificates in it. If the machine has a paravisor, Report
// also returns the paravisor's claims, which bind runtimeData. The error wraps ErrNoEvidence,
// also if the machine gives no reports, or the error of ctx.
func (a *Attester) Report(ctx context.Context, runtimeData []byte) (*Evidence, error) {
	evidence, err := a.collect(ctx, hashed(runtimeData))
	if err == nil {
		err = a.quote(ctx, evidence)
	}
	switch {
	case err != nil:
		return nil, err
	case !evidence.OfProcessor():
		return nil, refusal.Newf(refusal.NoEvidence,
			"this machine has Trusted Launch and no report of the processor: ask for its quote (/attest/combined), or for a token (/attest/maa)")
	case evidence.TDQuote != nil:
		return evidence, a.verifyQuoteAlone(ctx, evidence)
	}
	return evidence, nil
}

// Evidence returns a report with everything that endorses it. With Trusted Launch it
// returns only what the TPM says. The error wraps ErrNoEvidence, ErrNoEndorsements,
// refusal.Throttled, refusal.Unavailable, or the error of ctx.
func (a *Attester) Evidence(ctx context.Context, runtimeData []byte) (*Evidence, error) {
	evidence, err := a.collect(ctx, hashed(runtimeData))
	if err != nil {
		return nil, err
	}
	if err := a.quote(ctx, evidence); err != nil {
		return nil, err
	}
	if err := a.endorse(ctx, evidence); err != nil {
		return nil, err
	}
	if evidence.Guest == nil {
		return evidence, nil
	}
	done := journal.Begin(ctx, journal.Report)
	err = a.config.VirtualTPM.complete(ctx, evidence)
	done(err)
	if err != nil {
		return nil, unreported(ctx, err)
	}
	return evidence, nil
}

// endorse adds what endorses the report or quote, if there is one.
func (a *Attester) endorse(ctx context.Context, evidence *Evidence) (err error) {
	switch {
	case evidence.TDQuote != nil:
		return a.verifyQuote(ctx, evidence)
	case evidence.Report == nil:
		return nil
	}
	if err := checkMeasurement(evidence); err != nil {
		evidence.Endorsement = nil
		evidence.omit(UVMEndorsement, err)
	}
	done := journal.Begin(ctx, journal.Endorse)
	evidence.Chain, err = a.config.Endorser.Chain(ctx, evidence.Report)
	done(err)
	return err
}

// checkMeasurement returns an error if the endorsement is for a different utility VM. A
// Verifier refuses the whole evidence because of it.
func checkMeasurement(evidence *Evidence) error {
	if evidence.Endorsement == nil {
		return nil
	}
	endorsed, measured := evidence.Endorsement.Measurement(), evidence.Report.Measurement()
	if endorsed == measured {
		return nil
	}
	return fmt.Errorf("it is for measurement %s but the report's measurement is %s: check the security-context directory",
		hex.EncodeToString(endorsed[:]), hex.EncodeToString(measured[:]))
}

// Package attest is the Attester of RFC 9334: it proves what the machine is
// that this program runs on.
//
// An [Attester] asks the hardware for a report over runtime data, checks that
// the report says what was asked for, adds the certificates that endorse the
// chip and the endorsement of the utility VM, and yields [Evidence]. Where the
// report stands behind a virtual TPM, or where there is only the TPM, it adds
// what that says, the [Guest]. Nothing leaves the machine before each of these
// has been verified, so that a fault of ours is found here and not guessed from
// a Verifier's refusal.
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
	"fmt"
	"sync/atomic"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/observe/journal"
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
	// Report is signed by the chip; nil with Trusted Launch, which has none.
	Report *snp.Report
	// Chain endorses the chip that signed Report, at Report's reported TCB; nil
	// without one.
	Chain *vcek.Chain
	// RuntimeData are the bytes bound: through REPORT_DATA of Report or, where
	// there is a Guest, through its user data and its quote. Nil binds nothing.
	RuntimeData []byte
	// Endorsement is of Report's measurement; nil where the platform gives none.
	Endorsement *uvm.Endorsement
	// Guest is what the virtual TPM says; nil where there is none between the
	// chip and us.
	Guest *Guest
	// Omitted are the optional parts that are there and cannot be used.
	Omitted []Omission
}

// Bound are the bytes whose SHA-256 is in REPORT_DATA of Report: the runtime data,
// or the paravisor's claims.
func (e *Evidence) Bound() []byte {
	if e.Guest != nil && e.Guest.HCL != nil {
		return e.Guest.HCL.Claims().Raw()
	}
	return e.RuntimeData
}

// Endorser finds the certificate chain of a report.
type Endorser interface {
	// Chain returns a chain that has verified against the report. Its error
	// wraps a kind of package refusal.
	Chain(ctx context.Context, report *snp.Report) (*vcek.Chain, error)
}

// Config is what an Attester works with. Source or VirtualTPM must be there;
// with both, Source is tried first.
type Config struct {
	// Source gives reports of this machine; nil: only the virtual TPM is asked.
	Source snp.Source
	// VirtualTPM is that of an Azure machine; nil: it is not asked.
	VirtualTPM *VirtualTPM
	// Endorser finds and verifies certificates.
	Endorser Endorser
	// Endorsement of the utility VM; nil where the platform gives none.
	Endorsement *uvm.Endorsement
	// EndorsementErr says why an endorsement that the platform gives cannot be used.
	// Evidence then goes without, and says so.
	EndorsementErr error
}

// Attester collects evidence of this machine. It is safe for concurrent use if
// its Source and Endorser are.
type Attester struct {
	config Config
	kept   atomic.Pointer[found]
}

// NewAttester makes an Attester. It touches no device.
func NewAttester(c Config) *Attester { return &Attester{config: c} }

// Report is a fresh report over runtimeData that nothing endorses yet, together
// with the paravisor's claims where it is one of those that is bound to
// runtimeData. The error wraps ErrNoEvidence, also where the machine has no
// report, or tells that ctx ended.
func (a *Attester) Report(ctx context.Context, runtimeData []byte) (*Evidence, error) {
	evidence, err := a.collect(ctx, runtimeData)
	if err == nil && evidence.Report == nil {
		return nil, refusal.Newf(refusal.NoEvidence,
			"this machine has Trusted Launch and no report of the processor: ask for its quote (/attest/combined), or for a token (/attest/maa)")
	}
	return evidence, err
}

// Evidence is what Report gives, with all that endorses it. With Trusted Launch it
// is the TPM's word alone. The error wraps ErrNoEvidence, ErrNoEndorsements,
// refusal.Throttled or refusal.Unavailable, or tells that ctx ended.
func (a *Attester) Evidence(ctx context.Context, runtimeData []byte) (*Evidence, error) {
	evidence, err := a.collect(ctx, runtimeData)
	if err != nil {
		return nil, err
	}
	if err := a.endorse(ctx, evidence); err != nil {
		return nil, err
	}
	if evidence.Guest == nil {
		return evidence, nil
	}
	_, err = journal.Do(ctx, journal.Report, func() (*Guest, error) { return evidence.Guest, a.config.VirtualTPM.complete(ctx, evidence) })
	if err != nil {
		return nil, unreported(ctx, err)
	}
	return evidence, nil
}

// endorse finds what vouches for the report, if there is one.
func (a *Attester) endorse(ctx context.Context, evidence *Evidence) (err error) {
	if evidence.Report == nil {
		return nil
	}
	if err := checkMeasurement(evidence); err != nil {
		evidence.Endorsement = nil
		evidence.omit(UVMEndorsement, err)
	}
	evidence.Chain, err = journal.Do(ctx, journal.Endorse, func() (*vcek.Chain, error) { return a.config.Endorser.Chain(ctx, evidence.Report) })
	return err
}

// checkMeasurement finds an endorsement of another utility VM than this one,
// because of which a Verifier refuses the whole evidence.
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

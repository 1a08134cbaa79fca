package attest

import (
	"context"
	"crypto/sha256"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

// binding is what evidence binds, and where.
type binding struct {
	any         bool   // false binds nothing
	runtimeData []byte // the bytes whose hash is bound; nil if the bytes themselves are
	// reportData is in the report or, with a paravisor, in its claims.
	reportData snp.ReportData
	// nonce is in the quote of a virtual TPM, over the PCRs.
	nonce []byte
	pcrs  vtpm.Selection
}

// hashed binds the SHA-256 of runtime data, as Azure's attestation service expects.
func hashed(runtimeData []byte) binding {
	b := binding{any: runtimeData != nil, runtimeData: runtimeData, reportData: snp.Bind(runtimeData), pcrs: attestedPCRs}
	if b.any {
		sum := sha256.Sum256(runtimeData)
		b.nonce = sum[:]
	}
	return b
}

// everyPCR selects the 24 PCRs of a PC client's TPM.
const everyPCR vtpm.Selection = 0xffffff

// verbatim binds the bytes themselves, followed by zeros.
func verbatim(data []byte) binding {
	b := binding{any: true, nonce: data, pcrs: everyPCR}
	copy(b.reportData[:], data)
	return b
}

// MaxVerbatim is how many bytes REPORT_DATA holds.
const MaxVerbatim = len(snp.ReportData{})

// Verbatim returns evidence that binds at most [MaxVerbatim] bytes themselves and not their
// hash, as verifiers of Confidential Containers expect: in REPORT_DATA of the report or, with a
// paravisor, in its claims and as the nonce of a quote over every PCR. The result has no
// RuntimeData.
//
// A caller that chooses the bytes can choose the hash of a key pair of its own, for which a
// vault may then release keys. Callers of this method must not allow that.
//
// Verbatim returns the errors of Evidence, and ErrNoEvidence on machines with Trusted Launch.
func (a *Attester) Verbatim(ctx context.Context, data []byte) (*Evidence, error) {
	if len(data) > MaxVerbatim {
		return nil, refusal.Newf(refusal.BadRequest, "the report has room for %d bytes: send a hash of what you mean", MaxVerbatim)
	}
	evidence, err := a.collect(ctx, verbatim(data))
	if err != nil {
		return nil, err
	}
	if err := a.quote(ctx, evidence); err != nil {
		return nil, err
	}
	if !evidence.OfProcessor() {
		return nil, refusal.Newf(refusal.NoEvidence, "this machine has Trusted Launch and no report of the processor, which this evidence needs")
	}
	if err := a.endorse(ctx, evidence); err != nil {
		return nil, err
	}
	if evidence.Guest == nil {
		return evidence, nil
	}
	done := journal.Begin(ctx, journal.Report)
	err = a.config.VirtualTPM.add(ctx, evidence, addQuote)
	done(err)
	if err != nil {
		return nil, unreported(ctx, err)
	}
	return evidence, nil
}

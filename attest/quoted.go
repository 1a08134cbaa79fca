package attest

import (
	"context"
	"errors"

	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/internal/refusal"
)

// addQuote adds a quote of the PCRs. Without runtime data the nonce is empty, as in
// Azure's own client: a token is fresh because of its envelope.
func addQuote(ctx context.Context, t *tpm.TPM, ak *tpm.PublicKey, e *Evidence) error {
	quoted, err := t.Quote(ctx, e.bound.pcrs, e.bound.nonce)
	if err != nil {
		return err
	}
	if err := checkQuote(quoted, ak, e.bound); err != nil {
		return refusal.Because(refusal.NoEvidence, err.Error(), err)
	}
	e.Guest.Quote, e.Guest.PCRs = quoted.Attestation, quoted.PCRs
	return nil
}

func checkQuote(quoted *tpm.Quote, ak *tpm.PublicKey, bound binding) error {
	parsed, err := vtpm.ParseQuote(quoted.Info)
	if err != nil {
		return err
	}
	signed, err := parsed.WithSignature(quoted.Signature)
	if err != nil {
		return err
	}
	var fresh error
	if bound.any {
		fresh = signed.CheckNonce(bound.nonce)
	}
	return errors.Join(fresh, signed.VerifySignature(ak.RSA()), signed.CheckSelection(bound.pcrs), signed.CheckPCRs(quoted.PCRs))
}

// addKey adds the ephemeral key and its certification.
func addKey(ctx context.Context, t *tpm.TPM, ak *tpm.PublicKey, e *Evidence) error {
	key, err := t.EphemeralKey(ctx, attestedPCRs)
	if err != nil {
		return err
	}
	certified, err := key.Certify(ctx, nil)
	if err != nil {
		return err
	}
	if err := checkCertification(certified, key, ak); err != nil {
		return refusal.Because(refusal.NoEvidence, err.Error(), err)
	}
	e.Guest.Key, e.Guest.Certification = sealedKey{key}, certified
	return nil
}

func checkCertification(certified tpm.Attestation, key *tpm.EphemeralKey, ak *tpm.PublicKey) error {
	parsed, err := vtpm.ParseCertification(certified.Info, certified.Signature)
	if err != nil {
		return err
	}
	return errors.Join(parsed.VerifySignature(ak.RSA()), parsed.CheckKey(key.Area()))
}

package tpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/vtpm"
)

// Attestation is a statement of the TPM, signed with the attestation key.
type Attestation struct {
	Info      []byte // TPMS_ATTEST, without a size
	Signature []byte // RSASSA-PKCS1-v1_5 with SHA-256, as long as the modulus
}

// Quote is a statement about PCRs, with their values.
type Quote struct {
	Attestation
	PCRs vtpm.PCRs
}

const (
	maxNonce = 64 // TPM2B_DATA (part 2, 10.4.3) is a TPMT_HA: two bytes and the largest digest
	// attempts bounds how often a quote is repeated because a register changed between
	// reading and quoting. After its start, a machine extends few registers.
	attempts = 4
)

var errMoved = errors.New("a PCR changed while it was quoted")

// Quote returns a statement by the attestation key about exactly the selected PCRs, with a nonce
// of at most 64 bytes. It does not verify the signature.
func (t *TPM) Quote(ctx context.Context, s vtpm.Selection, nonce []byte) (quote *Quote, err error) {
	if len(nonce) > maxNonce {
		return nil, fmt.Errorf("quoting: the nonce has %d bytes, more than %d", len(nonce), maxNonce)
	}
	err = t.do(ctx, "quoting", func(x *exchange) error {
		ak, err := readAK(x)
		if err != nil {
			return err
		}
		for range attempts {
			if quote, err = quoteOnce(x, ak, s, nonce); !errors.Is(err, errMoved) {
				return err
			}
		}
		return err
	})
	return quote, err
}

func quoteOnce(x *exchange, ak *PublicKey, s vtpm.Selection, nonce []byte) (*Quote, error) {
	values, err := readPCRs(x, s)
	if err != nil {
		return nil, err
	}
	answer, err := run(x, quoteCommand(ak.handle(attestationKey), s, nonce))
	if err != nil {
		return nil, err
	}
	signed, err := newAttestation(answer.Quoted, answer.Signature)
	if err != nil {
		return nil, malformed(tpm2.TPMCCQuote, err)
	}
	return &Quote{signed, values}, checkQuote(signed.Info, s, nonce, values)
}

// checkQuote checks that the TPM quoted what was requested. It finds mistakes, not forgeries.
func checkQuote(info []byte, s vtpm.Selection, nonce []byte, values vtpm.PCRs) error {
	statement, err := tpm2.Unmarshal[tpm2.TPMSAttest](info)
	if err != nil {
		return malformed(tpm2.TPMCCQuote, err)
	}
	quoted, err := statement.Attested.Quote()
	if err != nil {
		return malformed(tpm2.TPMCCQuote, err)
	}
	digest := digestOf(values)
	switch {
	case !selects(quoted.PCRSelect, s):
		return errors.New("the TPM quoted other PCRs than those asked for")
	case !bytes.Equal(statement.ExtraData.Buffer, nonce):
		return errors.New("the TPM quoted another nonce than the one given")
	case !bytes.Equal(quoted.PCRDigest.Buffer, digest[:]):
		return errMoved
	}
	return nil
}

func newAttestation(info tpm2.TPM2BAttest, signature tpm2.TPMTSignature) (Attestation, error) {
	signed, err := signature.Signature.RSASSA()
	if err != nil {
		return Attestation{}, fmt.Errorf("it is not signed with RSASSA: %w", err)
	}
	if signed.Hash != tpm2.TPMAlgSHA256 {
		return Attestation{}, fmt.Errorf("it is signed with hash 0x%x, want SHA-256", uint16(signed.Hash))
	}
	return Attestation{Info: info.Bytes(), Signature: signed.Sig.Buffer}, nil
}

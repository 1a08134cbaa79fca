package tpm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/vtpm"
)

// EphemeralKey is an RSA-2048 key that only this TPM can use, and only while the selected PCRs
// are unchanged. Until it is reset, a TPM derives the same key from the same template.
// Therefore the key is not kept loaded: each use makes it again (about 50 ms in an emulator).
type EphemeralKey struct {
	*PublicKey
	tpm       *TPM
	selection vtpm.Selection
	digest    [sha256.Size]byte // over the selected PCRs
}

// keySize is the size of the key's modulus in bytes.
const keySize = 2048 / 8

// EphemeralKey makes the key for the current values of the PCRs.
func (t *TPM) EphemeralKey(ctx context.Context, s vtpm.Selection) (key *EphemeralKey, err error) {
	err = t.do(ctx, "making the ephemeral key", func(x *exchange) error {
		values, err := readPCRs(x, s)
		if err != nil {
			return err
		}
		made := &EphemeralKey{tpm: t, selection: s, digest: digestOf(values)}
		err = made.load(x, func(_ tpm2.TPMHandle, public *PublicKey) error {
			made.PublicKey = public
			return nil
		})
		if err == nil {
			key = made
		}
		return err
	})
	return key, err
}

// Certify returns a statement by the attestation key that the key is in its TPM, with a nonce
// of at most 64 bytes. Azure's attestation service requires an empty nonce.
func (k *EphemeralKey) Certify(ctx context.Context, nonce []byte) (certified Attestation, err error) {
	if len(nonce) > maxNonce {
		return Attestation{}, fmt.Errorf("certifying the ephemeral key: the nonce has %d bytes, more than %d", len(nonce), maxNonce)
	}
	err = k.use(ctx, "certifying the ephemeral key", func(x *exchange, at tpm2.TPMHandle) error {
		ak, err := readAK(x)
		if err != nil {
			return err
		}
		answer, err := run(x, certifyCommand(k.handle(at), ak.handle(attestationKey), nonce))
		if err != nil {
			return err
		}
		certified, err = newAttestation(answer.CertifyInfo, answer.Signature)
		return err
	})
	return certified, err
}

// use runs an operation with the key loaded. The error is [ErrChanged] if the TPM makes another
// key from the template, as after a reset.
func (k *EphemeralKey) use(ctx context.Context, doing string, operation func(*exchange, tpm2.TPMHandle) error) error {
	return k.tpm.do(ctx, doing, func(x *exchange) error {
		return k.load(x, func(at tpm2.TPMHandle, public *PublicKey) error {
			if !public.rsa.Equal(k.rsa) {
				return ErrChanged
			}
			return operation(x, at)
		})
	})
}

// load makes the key, calls the operation with it, and flushes it.
func (k *EphemeralKey) load(x *exchange, lend func(tpm2.TPMHandle, *PublicKey) error) (err error) {
	template, err := k.template()
	if err != nil {
		return err
	}
	answer, err := run(x, createCommand(template))
	if err != nil {
		return err
	}
	defer x.flush(answer.ObjectHandle, &err)
	public, err := parsePublic(answer.OutPublic.Bytes())
	if err != nil {
		return malformed(tpm2.TPMCCCreatePrimary, err)
	}
	if err := checkMade(answer.OutPublic.Bytes(), template); err != nil {
		return err
	}
	return lend(answer.ObjectHandle, public)
}

// errOther means that the key has another policy or other attributes. Such a key could be used
// without the policy, or leave the TPM.
var errOther = errors.New("the TPM made another key than requested: its public area differs from the template")

// checkMade compares the key's public area with the template, except for the modulus, which the
// TPM chooses. The exponent has two encodings (part 2, 12.2.3.5: 0 means 65537).
func checkMade(made []byte, template tpm2.TPMTPublic) error {
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](made)
	if err != nil {
		return malformed(tpm2.TPMCCCreatePrimary, err)
	}
	parameters, err := public.Parameters.RSADetail()
	if err != nil {
		return fmt.Errorf("%w: %w", errOther, err)
	}
	if parameters.Exponent == 65537 {
		parameters.Exponent = 0
		public.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, parameters)
	}
	template.Unique = public.Unique
	if !bytes.Equal(tpm2.Marshal(*public), tpm2.Marshal(template)) {
		return errOther
	}
	return nil
}

// template is the template of Azure's own client
// (Azure/confidential-computing-cvm-guest-attestation, Tss2Wrapper), in the NULL hierarchy. Only
// the policy protects the key. Each use chooses the scheme.
func (k *EphemeralKey) template() (tpm2.TPMTPublic, error) {
	policy, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return tpm2.TPMTPublic{}, fmt.Errorf("computing the policy: %w", err)
	}
	if err := k.policy(tpm2.TPMRHNull).Update(policy); err != nil {
		return tpm2.TPMTPublic{}, fmt.Errorf("computing the policy: %w", err)
	}
	return templateOf(policy.Hash().Digest), nil
}

func templateOf(policy []byte) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgRSA,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, NoDA: true, Decrypt: true,
		},
		AuthPolicy: tpm2.TPM2BDigest{Buffer: policy},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: 8 * keySize}),
		Unique:     tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: make([]byte, keySize)}),
	}
}

func (k *EphemeralKey) policy(session tpm2.TPMHandle) tpm2.PolicyPCR {
	return policyCommand(session, k.selection, k.digest[:])
}

// satisfy opens a session that satisfies the policy. The caller flushes its handle.
func (k *EphemeralKey) satisfy(x *exchange) (session tpm2.Session, err error) {
	if session, err = patiently(x, func() (tpm2.Session, error) { return startSession(x) }); err != nil {
		return nil, explain(tpm2.TPMCCStartAuthSession, err)
	}
	_, err = run(x, k.policy(session.Handle()))
	if err == nil {
		return session, nil
	}
	if errors.Is(err, tpm2.TPMRCValue) { // a selected PCR has changed
		err = fmt.Errorf("%w: %w", ErrChanged, err)
	}
	x.flush(session.Handle(), &err)
	return nil, err
}

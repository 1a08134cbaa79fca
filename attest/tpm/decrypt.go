package tpm

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"skr/internal/jose/keywrap"
)

// hashes contains the hashes of RSA-OAEP that a vault may use.
var hashes = map[crypto.Hash]tpm2.TPMIAlgHash{
	crypto.SHA1:   tpm2.TPMAlgSHA1,
	crypto.SHA256: tpm2.TPMAlgSHA256,
	crypto.SHA384: tpm2.TPMAlgSHA384,
}

// DecryptRSAES decrypts RSAES-PKCS1-v1_5, with which Azure's attestation service encrypts the
// key of its answer. The caller wipes the plain text, and must not reveal why decryption
// failed, unless the error is [ErrChanged].
func (k *EphemeralKey) DecryptRSAES(ctx context.Context, ciphertext []byte) ([]byte, error) {
	return k.decrypt(ctx, ciphertext, schemeRSAES())
}

func schemeRSAES() tpm2.TPMTRSADecrypt {
	return tpm2.TPMTRSADecrypt{
		Scheme:  tpm2.TPMAlgRSAES,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAES, &tpm2.TPMSEncSchemeRSAES{}),
	}
}

func schemeOAEP(hash tpm2.TPMIAlgHash) tpm2.TPMTRSADecrypt {
	return tpm2.TPMTRSADecrypt{
		Scheme:  tpm2.TPMAlgOAEP,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: hash}),
	}
}

// Decrypter returns a decrypter that decrypts RSA-OAEP in the TPM, within ctx.
func (k *EphemeralKey) Decrypter(ctx context.Context) keywrap.Decrypter { return &decrypter{ctx, k} }

// decrypter contains a context, because the methods of keywrap's interface have none.
type decrypter struct {
	ctx context.Context
	key *EphemeralKey
}

func (d *decrypter) Size() int { return d.key.rsa.Size() }

func (d *decrypter) DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error) {
	algorithm, known := hashes[hash]
	if !known {
		return nil, fmt.Errorf("decrypting: %s is not a hash of a vault's OAEP", hash)
	}
	return d.key.decrypt(d.ctx, ciphertext, schemeOAEP(algorithm))
}

func (k *EphemeralKey) decrypt(ctx context.Context, ciphertext []byte, scheme tpm2.TPMTRSADecrypt) (plaintext []byte, err error) {
	if len(ciphertext) != k.rsa.Size() {
		return nil, fmt.Errorf("decrypting: the cipher text has %d bytes, want %d", len(ciphertext), k.rsa.Size())
	}
	for range attempts {
		if plaintext, err = k.decryptOnce(ctx, ciphertext, scheme); !errors.Is(err, ErrBusy) || !isEnded(err) {
			break
		}
	}
	return plaintext, err
}

// isEnded reports whether a session was ended to make room for others, by the TPM or an agent.
func isEnded(err error) bool {
	return errors.Is(err, tpm2.TPMRCReferenceH0) || errors.Is(err, tpm2.TPMRCReferenceS0)
}

func (k *EphemeralKey) decryptOnce(ctx context.Context, ciphertext []byte, scheme tpm2.TPMTRSADecrypt) (plaintext []byte, err error) {
	err = k.use(ctx, "decrypting", func(x *exchange, at tpm2.TPMHandle) (err error) {
		defer func() {
			if isEnded(err) {
				err = fmt.Errorf("%w: %w", ErrBusy, err)
			}
		}()
		session, err := k.satisfy(x)
		if err != nil {
			return err
		}
		defer x.flush(session.Handle(), &err)
		answer, err := run(x, decryptCommand(tpm2.AuthHandle{Handle: at, Name: k.name, Auth: session}, scheme, ciphertext))
		if err != nil {
			return unopened(err)
		}
		plaintext = answer.Message.Buffer
		return nil
	})
	if err != nil {
		clear(plaintext)
		return nil, err
	}
	return plaintext, nil
}

// unopened recognises a PCR that changed after the policy was satisfied, and a ciphertext that
// is not for this key.
func unopened(err error) error {
	switch {
	case errors.Is(err, tpm2.TPMRCPCRChanged):
		return fmt.Errorf("%w: %w", ErrChanged, err)
	case errors.Is(err, tpm2.TPMRCValue), errors.Is(err, tpm2.TPMRCFailure):
		// The second is libtpms's word for it: in the failure mode, which it means
		// otherwise, the commands before this one had failed.
		return fmt.Errorf("%w: %w", ErrCiphertext, err)
	}
	return err
}

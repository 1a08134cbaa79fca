package tpm

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// attestationKey is the persistent handle of the attestation key (AK).
const attestationKey tpm2.TPMHandle = 0x81000003

// PublicKey is the public area of an RSA key in the TPM.
type PublicKey struct {
	area []byte // TPM2B_PUBLIC
	rsa  *rsa.PublicKey
	name tpm2.TPM2BName
}

// Area returns the TPM2B_PUBLIC, which begins with its size.
func (k *PublicKey) Area() []byte { return k.area }

// RSA returns the key.
func (k *PublicKey) RSA() *rsa.PublicKey { return k.rsa }

// AK returns the attestation key. The runtime claims of an HCL report, or the key's certificate,
// must prove that it belongs to a TPM.
func (t *TPM) AK(ctx context.Context) (key *PublicKey, err error) {
	err = t.do(ctx, "reading the attestation key", func(x *exchange) (err error) {
		key, err = readAK(x)
		return err
	})
	return key, err
}

func readAK(x *exchange) (*PublicKey, error) {
	answer, err := run(x, readAKCommand())
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, &advised{fmt.Errorf("%w at 0x%08X, where Azure's firmware keeps it: is this an Azure machine with a vTPM?: %w",
			ErrAbsent, uint32(attestationKey), err), "this TPM has no attestation key of Azure's: use a confidential or Trusted Launch virtual machine"}
	}
	if err != nil {
		return nil, err
	}
	return parsePublic(answer.OutPublic.Bytes())
}

// parsePublic parses a TPMT_PUBLIC and computes its name.
func parsePublic(raw []byte) (*PublicKey, error) {
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](raw)
	if err != nil {
		return nil, fmt.Errorf("reading a public area: %w", err)
	}
	parameters, err := public.Parameters.RSADetail()
	if err != nil {
		return nil, fmt.Errorf("reading a public area: it is not of an RSA key: %w", err)
	}
	unique, err := public.Unique.RSA()
	if err != nil {
		return nil, fmt.Errorf("reading a public area: it is not of an RSA key: %w", err)
	}
	key, err := tpm2.RSAPub(parameters, unique)
	if err != nil {
		return nil, fmt.Errorf("reading a public area: %w", err)
	}
	if bits := key.N.BitLen(); bits < 2048 || bits > 4096 {
		return nil, fmt.Errorf("reading a public area: the key has %d bits, want 2048 to 4096", bits)
	}
	name, err := tpm2.ObjectName(public)
	if err != nil {
		return nil, fmt.Errorf("reading a public area: %w", err)
	}
	return &PublicKey{area: tpm2.Marshal(tpm2.BytesAs2B[tpm2.TPMTPublic](raw)), rsa: key, name: *name}, nil
}

// handle returns the key's handle with an empty password.
func (k *PublicKey) handle(at tpm2.TPMHandle) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: at, Name: k.name, Auth: tpm2.PasswordAuth(nil)}
}

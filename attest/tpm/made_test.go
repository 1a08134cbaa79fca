package tpm

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"skr/test/swtpm"
)

// A key whose public area differs from the template is not used.
func TestCheckMade(t *testing.T) {
	template := templateOf(bytes.Repeat([]byte{7}, 32))
	made := func(change func(*tpm2.TPMTPublic, *tpm2.TPMSRSAParms)) []byte {
		public := template
		public.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: bytes.Repeat([]byte{9}, keySize)})
		parameters := tpm2.TPMSRSAParms{KeyBits: 8 * keySize}
		change(&public, &parameters)
		public.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &parameters)
		return tpm2.Marshal(public)
	}
	for name, change := range map[string]func(*tpm2.TPMTPublic, *tpm2.TPMSRSAParms){
		"nothing":           func(*tpm2.TPMTPublic, *tpm2.TPMSRSAParms) {},
		"the same exponent": func(_ *tpm2.TPMTPublic, r *tpm2.TPMSRSAParms) { r.Exponent = 65537 },
	} {
		if err := checkMade(made(change), template); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*tpm2.TPMTPublic, *tpm2.TPMSRSAParms){
		"another policy":         func(p *tpm2.TPMTPublic, _ *tpm2.TPMSRSAParms) { p.AuthPolicy.Buffer = make([]byte, 32) },
		"no policy":              func(p *tpm2.TPMTPublic, _ *tpm2.TPMSRSAParms) { p.AuthPolicy.Buffer = nil },
		"unlocked by a password": func(p *tpm2.TPMTPublic, _ *tpm2.TPMSRSAParms) { p.ObjectAttributes.UserWithAuth = true },
		"may leave the TPM":      func(p *tpm2.TPMTPublic, _ *tpm2.TPMSRSAParms) { p.ObjectAttributes.FixedTPM = false },
		"not made in the TPM":    func(p *tpm2.TPMTPublic, _ *tpm2.TPMSRSAParms) { p.ObjectAttributes.SensitiveDataOrigin = false },
		"it signs":               func(p *tpm2.TPMTPublic, _ *tpm2.TPMSRSAParms) { p.ObjectAttributes.SignEncrypt = true },
		"another name algorithm": func(p *tpm2.TPMTPublic, _ *tpm2.TPMSRSAParms) { p.NameAlg = tpm2.TPMAlgSHA1 },
		"small exponent":         func(_ *tpm2.TPMTPublic, r *tpm2.TPMSRSAParms) { r.Exponent = 3 },
		"another length":         func(_ *tpm2.TPMTPublic, r *tpm2.TPMSRSAParms) { r.KeyBits = 3072 },
	} {
		if err := checkMade(made(change), template); !errors.Is(err, errOther) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// dishonest is a link to a TPM that alters the keys that it makes.
type dishonest struct{ link }

func (d dishonest) Read(b []byte) (int, error) {
	n, err := d.link.Read(b)
	asked := tpm2.Marshal(tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, NoDA: true, Decrypt: true})
	if i := bytes.Index(b[:n], asked); i >= 0 {
		b[i+3] |= 1 << 6 // userWithAuth
	}
	return n, err
}

func TestAnotherKeyIsMade(t *testing.T) {
	opened, _ := start(t, swtpm.Config{})
	dial := opened.dial
	opened.dial = func(ctx context.Context) (link, error) {
		l, err := dial(ctx)
		return dishonest{l}, err
	}
	if _, err := opened.EphemeralKey(t.Context(), boot(t)); !errors.Is(err, errOther) {
		t.Errorf("error %v", err)
	}
}

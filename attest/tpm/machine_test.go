package tpm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/internal/jose/keywrap"
	"skr/test/snptest"
	"skr/test/swtpm"
)

// begin is the creation time of the emulated machines.
var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var newChip = sync.OnceValues(func() (*snptest.Chip, error) {
	vendor, err := snptest.NewVendor(snp.Milan, begin)
	if err != nil {
		return nil, err
	}
	return vendor.NewChip()
})

// start returns the TPM of a machine. At the end it checks that the TPM holds no objects.
func start(t *testing.T, c swtpm.Config) (*TPM, *swtpm.Machine) {
	t.Helper()
	machine := swtpm.Require(t, c)
	opened, err := Open(machine.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n, err := machine.Loaded(); err != nil || n != 0 {
			t.Errorf("%d objects and sessions remain in the TPM (%v)", n, err)
		}
	})
	return opened, machine
}

func selection(t testing.TB, indices ...int) vtpm.Selection {
	t.Helper()
	s, err := vtpm.Select(indices...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func boot(t testing.TB) vtpm.Selection { return selection(t, 0, 1, 2, 3, 4, 5, 6, 7) }

func verify(t *testing.T, ak *rsa.PublicKey, a Attestation) *tpm2.TPMSAttest {
	t.Helper()
	digest := sha256.Sum256(a.Info)
	if err := rsa.VerifyPKCS1v15(ak, crypto.SHA256, digest[:], a.Signature); err != nil {
		t.Fatalf("the signature: %v", err)
	}
	statement, err := tpm2.Unmarshal[tpm2.TPMSAttest](a.Info)
	if err != nil {
		t.Fatal(err)
	}
	return statement
}

func TestQuote(t *testing.T) {
	opened, machine := start(t, swtpm.Config{})
	ak, err := opened.AK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !ak.RSA().Equal(machine.AK()) {
		t.Error("the AK is not the machine's")
	}
	for name, s := range map[string]vtpm.Selection{
		"boot": boot(t), "one": selection(t, 7), "needs more than one read": selection(t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 16, 23),
	} {
		t.Run(name, func(t *testing.T) {
			nonce := []byte("a nonce of this question")
			quote, err := opened.Quote(t.Context(), s, nonce)
			if err != nil {
				t.Fatal(err)
			}
			statement := verify(t, ak.RSA(), quote.Attestation)
			if string(statement.ExtraData.Buffer) != string(nonce) {
				t.Errorf("nonce %x", statement.ExtraData.Buffer)
			}
			if got := quote.PCRs.Sorted(); !slices.Equal(got, s.List()) {
				t.Errorf("values of PCRs %v, want %v", got, s.List())
			}
		})
	}
	if _, err := opened.Quote(t.Context(), boot(t), make([]byte, 65)); err == nil || !strings.Contains(err.Error(), "65 bytes") {
		t.Errorf("a long nonce: error %v", err)
	}
	if _, err := opened.Quote(t.Context(), 0, nil); err == nil {
		t.Error("a quote over no PCR was made")
	}
}

func TestPCRs(t *testing.T) {
	opened, machine := start(t, swtpm.Config{})
	every := make([]int, vtpm.PCRCount)
	for i := range every {
		every[i] = i
	}
	before, err := opened.PCRs(t.Context(), selection(t, every...))
	if err != nil {
		t.Fatal(err)
	}
	if err := machine.Extend(14, []byte("an event")); err != nil {
		t.Fatal(err)
	}
	after, err := opened.PCRs(t.Context(), selection(t, every...))
	if err != nil {
		t.Fatal(err)
	}
	for i := range every {
		if len(before) != len(every) || (before[i] == after[i]) == (i == 14) {
			t.Errorf("PCR %d: %s, then %s", i, before[i], after[i])
		}
	}
}

func TestEphemeralKeyUnwraps(t *testing.T) {
	opened, _ := start(t, swtpm.Config{})
	key, err := opened.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte("the key of the application")
	for _, algorithm := range []keywrap.Algorithm{keywrap.CKM, keywrap.RSA256, keywrap.RSA384} {
		wrapped, err := keywrap.Wrap(nil, key.RSA(), algorithm, payload)
		if err != nil {
			t.Fatal(err)
		}
		got, err := keywrap.Unwrap(key.Decrypter(t.Context()), algorithm, wrapped)
		if err != nil || string(got) != string(payload) {
			t.Errorf("%s: %q, error %v", algorithm, got, err)
		}
		wrapped[3] ^= 1
		if _, err := keywrap.Unwrap(key.Decrypter(t.Context()), algorithm, wrapped); !errors.Is(err, keywrap.ErrKEK) {
			t.Errorf("%s: an altered cipher text: error %v", algorithm, err)
		}
	}
}

func TestDecryptRSAES(t *testing.T) {
	opened, _ := start(t, swtpm.Config{})
	key, err := opened.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := rsa.EncryptPKCS1v15(rand.Reader, key.RSA(), []byte("inner key")) //nolint:staticcheck // MAA's envelope has it
	if err != nil {
		t.Fatal(err)
	}
	got, err := key.DecryptRSAES(t.Context(), ciphertext)
	if err != nil || string(got) != "inner key" {
		t.Errorf("%q, error %v", got, err)
	}
	if _, err := key.DecryptRSAES(t.Context(), ciphertext[1:]); err == nil || !strings.Contains(err.Error(), "255 bytes, want 256") {
		t.Errorf("a short cipher text: error %v", err)
	}
	if _, err := key.Decrypter(t.Context()).DecryptOAEP(crypto.MD5, ciphertext); err == nil {
		t.Error("OAEP with MD5 was attempted")
	}
	_, err = key.Decrypter(t.Context()).DecryptOAEP(crypto.SHA256, ciphertext)
	if !errors.Is(err, ErrCiphertext) || !strings.Contains(err.Error(), "TPM2_RSA_Decrypt") || errors.Is(err, ErrChanged) {
		t.Errorf("other padding: error %v", err)
	}
}

func TestCertify(t *testing.T) {
	opened, machine := start(t, swtpm.Config{})
	key, err := opened.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, nonce := range []string{"", "a nonce"} {
		certified, err := key.Certify(t.Context(), []byte(nonce))
		if err != nil {
			t.Fatal(err)
		}
		statement := verify(t, machine.AK(), certified)
		info, err := statement.Attested.Certify()
		if err != nil {
			t.Fatal(err)
		}
		name := sha256.Sum256(key.Area()[2:])
		if string(info.Name.Buffer) != "\x00\x0b"+string(name[:]) || string(statement.ExtraData.Buffer) != nonce {
			t.Errorf("name %x, nonce %q", info.Name.Buffer, statement.ExtraData.Buffer)
		}
	}
	if _, err := key.Certify(t.Context(), make([]byte, 65)); err == nil {
		t.Error("a long nonce was accepted")
	}
}

func TestEphemeralKeyEnds(t *testing.T) {
	tests := []struct {
		name   string
		over   vtpm.Selection
		change func(*swtpm.Machine) error
		ends   bool
	}{
		{"nothing", boot(t), func(*swtpm.Machine) error { return nil }, false},
		{"another PCR", boot(t), func(m *swtpm.Machine) error { return m.Extend(14, []byte("x")) }, false},
		{"a selected PCR", boot(t), func(m *swtpm.Machine) error { return m.Extend(7, []byte("x")) }, true},
		{"a reset", selection(t, 16), (*swtpm.Machine).Reset, true}, // this PCR stays unchanged
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opened, machine := start(t, swtpm.Config{})
			key, err := opened.EphemeralKey(t.Context(), test.over)
			if err != nil {
				t.Fatal(err)
			}
			ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.RSA(), []byte("secret"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := test.change(machine); err != nil {
				t.Fatal(err)
			}
			_, err = key.Decrypter(t.Context()).DecryptOAEP(crypto.SHA256, ciphertext)
			if errors.Is(err, ErrChanged) != test.ends || (err != nil) != test.ends {
				t.Errorf("error %v", err)
			}
		})
	}
}

// Without the session that satisfies the policy, the key is unusable.
func TestPolicyGuardsTheKey(t *testing.T) {
	opened, _ := start(t, swtpm.Config{})
	key, err := opened.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	err = key.use(t.Context(), "decrypting", func(x *exchange, at tpm2.TPMHandle) error {
		_, err := run(x, tpm2.RSADecrypt{
			KeyHandle:  key.handle(at),
			CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: make([]byte, 256)},
			InScheme:   tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull},
		})
		return err
	})
	if !errors.Is(err, tpm2.TPMRCAuthUnavailable) {
		t.Errorf("a password: error %v", err)
	}
}

func TestCertificate(t *testing.T) {
	for name, size := range map[string]int{"exact": 0, "padded": 2048} {
		t.Run(name, func(t *testing.T) {
			opened, machine := start(t, swtpm.Config{CertificateSize: size})
			der, err := opened.ReadAKCertificate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if !machine.AK().Equal(certificate.PublicKey) {
				t.Error("the certificate is not for the AK")
			}
			if raw, err := opened.ReadIndex(t.Context(), AKCertificate); err != nil || len(raw) != max(size, len(der)) {
				t.Errorf("the index has %d bytes (%v)", len(raw), err)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	opened, _ := start(t, swtpm.Config{CertificateSize: -1})
	_, certificate := opened.ReadAKCertificate(t.Context())
	_, report := opened.ReadIndex(t.Context(), HCLReport)
	_, fresh := opened.FreshReport(t.Context(), Fresh{})
	for name, err := range map[string]error{"certificate": certificate, "report": report, "fresh report": fresh} {
		if !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "TPM2_NV_ReadPublic") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if exists, err := opened.Exists(t.Context(), AKCertificate); exists || err != nil {
		t.Errorf("the certificate exists: %t, error %v", exists, err)
	}
	if exists, err := opened.Exists(t.Context(), UserDataIndex); exists || err != nil {
		t.Errorf("user data remains after a refused fresh report: %t, error %v", exists, err)
	}
}

// The TPM has no resource manager, and another program holds its few slots.
func TestMemoryIsFull(t *testing.T) {
	opened, machine := start(t, swtpm.Config{})
	conn, err := new(net.Dialer).DialContext(t.Context(), "unix", strings.TrimPrefix(machine.Address(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // after the keys are flushed
	other := transport.FromReadWriter(conn)
	for range 3 {
		held, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHNull, InPublic: tpm2.New2B(tpm2.RSASRKTemplate)}.Execute(other)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := (tpm2.FlushContext{FlushHandle: held.ObjectHandle}).Execute(other); err != nil {
				t.Error(err)
			}
		}()
	}
	opened.patience = time.Millisecond
	_, err = opened.EphemeralKey(t.Context(), boot(t))
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "TPM2_CreatePrimary") || !strings.Contains(err.Error(), "/dev/tpmrm0") {
		t.Errorf("error %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	chip, err := newChip()
	if err != nil {
		t.Fatal(err)
	}
	opened, _ := start(t, swtpm.Config{Chip: chip})
	key, err := opened.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.RSA(), []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	work := []func(context.Context) error{
		func(ctx context.Context) error { _, err := opened.Quote(ctx, boot(t), nil); return err },
		func(ctx context.Context) error { _, err := opened.ReadIndex(ctx, HCLReport); return err },
		func(ctx context.Context) error { _, err := key.Certify(ctx, nil); return err },
		func(ctx context.Context) error { _, err := opened.EphemeralKey(ctx, boot(t)); return err },
		func(ctx context.Context) error {
			_, err := key.Decrypter(ctx).DecryptOAEP(crypto.SHA256, ciphertext)
			return err
		},
	}
	var group sync.WaitGroup
	for i := range 3 * len(work) {
		group.Go(func() {
			if err := work[i%len(work)](t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

package attest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/tpm"
	"skr/internal/refusal"
	"skr/test/swtpm"
)

// If the index exists but cannot be read, the error says so. The machine does not
// count as Trusted Launch.
func TestUnreadableHCLIndex(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{Chip: newChip(t), Fault: func(code tpm2.TPMCC, _, second tpm2.TPMHandle) tpm2.TPMRC {
		if code == tpm2.TPMCCNVRead && second == tpm2.TPMHandle(tpm.HCLReport) {
			return tpm2.TPMRCNVUninitialized
		}
		return tpm2.TPMRCSuccess
	}})
	a := of(t, machine, nil)
	platform, err := a.Platform(t.Context())
	if platform != 0 || !errors.Is(err, ErrNoEvidence) || !strings.Contains(err.Error(), "0x14a") ||
		!strings.Contains(err.Error(), "not a Trusted Launch machine") {
		t.Errorf("platform %s, error %v", platform, err)
	}
	for _, data := range [][]byte{nil, []byte("data")} {
		if _, err := a.Evidence(t.Context(), data); !errors.Is(err, ErrNoEvidence) {
			t.Errorf("evidence over %q: error %v", data, err)
		}
	}
}

// A busy TPM is not a machine without evidence: the caller may try again.
func TestBusyTPMIsThrottling(t *testing.T) {
	var busy atomic.Uint32 // code of the command that gets this answer
	machine := swtpm.Require(t, swtpm.Config{Fault: func(code tpm2.TPMCC, _, _ tpm2.TPMHandle) tpm2.TPMRC {
		if uint32(code) == busy.Load() {
			return tpm2.TPMRCRetry
		}
		return tpm2.TPMRCSuccess
	}})
	a := of(t, machine, nil)
	evidence, err := a.Evidence(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, evidence.Guest.Key.RSA(), []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for code, do := range map[tpm2.TPMCC]func() error{
		tpm2.TPMCCQuote: func() error { _, err := a.Evidence(t.Context(), nil); return err },
		tpm2.TPMCCRSADecrypt: func() error {
			_, err := evidence.Guest.Key.Decrypter(t.Context()).DecryptOAEP(crypto.SHA256, wrapped)
			return err
		},
	} {
		busy.Store(uint32(code))
		err := do()
		refused, ok := errors.AsType[*refusal.Error](err)
		if !ok || refused.Kind != refusal.Throttled || refused.RetryAfter != busyPause || errors.Is(err, ErrNoEvidence) {
			t.Errorf("command 0x%x: error %v", uint32(code), err)
		}
	}
}

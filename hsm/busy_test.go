package hsm

import (
	"crypto"
	"errors"
	"testing"

	"skr/internal/jose/keywrap"
	"skr/internal/refusal"
)

// unwilling is a key that always fails with its own error.
type unwilling struct{ reason error }

func (unwilling) Size() int                                         { return 256 }
func (u unwilling) DecryptOAEP(crypto.Hash, []byte) ([]byte, error) { return nil, u.reason }

// An error of the key itself is not reported as a fault of the vault.
func TestUnwrapReportsTheKeysFault(t *testing.T) {
	w := &WrappedKey{id: "https://v.vault.azure.net/keys/n/" + keyVersion, kind: "oct", algorithm: keywrap.RSA256, ciphertext: make([]byte, 256+40)}
	for _, kind := range []*refusal.Kind{refusal.NoEvidence, refusal.Throttled} {
		_, err := w.Unwrap(unwilling{refusal.Newf(kind, "the TPM says no")})
		if !errors.Is(err, kind) || errors.Is(err, refusal.Untrusted) {
			t.Errorf("%s: error %v", kind, err)
		}
	}
	if _, err := w.Unwrap(unwilling{errors.New("the padding is wrong")}); !errors.Is(err, refusal.Untrusted) {
		t.Errorf("the vault's fault: error %v", err)
	}
}

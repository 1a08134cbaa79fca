package hsm

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"testing"

	"skr/internal/refusal"
)

// leaving is a key in a TPM whose caller has left.
type leaving struct{ err error }

func (l leaving) DecryptOAEP(crypto.Hash, []byte) ([]byte, error) { return nil, l.err }
func (leaving) Size() int                                         { return 256 }

// If the caller's time ends while the TPM opens the key, the vault is not at fault.
func TestUnwrapInTheCallersTime(t *testing.T) {
	v := newVault(t)
	wrapped, err := v.release(keyName)
	if err != nil {
		t.Fatal(err)
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		key, err := wrapped.Unwrap(leaving{fmt.Errorf("%w: reading the answer", ended)})
		if _, refused := errors.AsType[*refusal.Error](err); refused || !errors.Is(err, ended) || key != nil {
			t.Errorf("got %v", err)
		}
	}
	if _, err := wrapped.Unwrap(leaving{errors.New("no")}); !errors.Is(err, refusal.Untrusted) {
		t.Errorf("a key that does not open: %v", err)
	}
}

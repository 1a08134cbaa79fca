package attest

import (
	"context"
	"errors"
	"os"
	"testing"

	"skr/attest/tpm"
	"skr/internal/refusal"
)

// If the caller's time ends before the TPM answers, the error blames neither the TPM nor
// the party that wrapped the key.
func TestBlame(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx  context.Context
		err  error
		want error
	}{
		{t.Context(), nil, nil},
		{t.Context(), os.ErrDeadlineExceeded, refusal.NoEvidence},
		{ended, os.ErrDeadlineExceeded, context.Canceled},
		{ended, tpm.ErrCiphertext, tpm.ErrCiphertext},
		{ended, tpm.ErrChanged, refusal.NoEvidence},
	} {
		got := blame(test.ctx, test.err)
		if !errors.Is(got, test.want) {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
		if errors.Is(got, context.Canceled) && errors.Is(got, refusal.NoEvidence) {
			t.Errorf("%v blames another party for the caller's end", got)
		}
	}
}

package keyrelease

import (
	"context"
	"errors"
	"strings"
	"testing"

	"skr/attest"
	"skr/internal/refusal"
)

// omitting is an Attester whose evidence lacks a part.
type omitting struct{ *fakeParties }

var torn = []attest.Omission{{Part: attest.EventLog, Err: errors.New("it is torn")}}

func (o omitting) Evidence(_ context.Context, data []byte) (*attest.Evidence, error) {
	return &attest.Evidence{RuntimeData: data, Omitted: torn}, nil
}

// TestOmissionsAreReported checks that omissions are reported with a token and with the authority's refusal.
func TestOmissionsAreReported(t *testing.T) {
	for name, c := range map[string]struct {
		refuse error
		want   string
	}{
		"a token":          {nil, ""},
		"refused evidence": {refusal.Newf(refusal.AttestationRejected, "no"), "no; the evidence goes without the event log, which cannot be used: it is torn"},
		"another refusal":  {refusal.Newf(refusal.Unavailable, "gone"), "unavailable: gone"},
	} {
		parties := &fakeParties{refuse: c.refuse}
		releaser := New(Config{Attester: omitting{parties}, Verifier: parties, Vault: parties, Identity: parties})
		result, err := releaser.Token(t.Context(), attest.Authority{}, []byte("{}"))
		switch {
		case c.refuse == nil && (err != nil || len(result.Omitted) != 1):
			t.Errorf("%s: result %v, error %v", name, result, err)
		case c.refuse != nil && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

package uvm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"skr/test/uvmtest"
)

// Another module can distinguish a wrong issuer, a wrong signature and a malformed message.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		spoil             func(*uvmtest.Envelope)
		issuer, signature bool
	}{
		"issuer of another chain": {func(v *uvmtest.Envelope) { v.Protected["iss"] = newEndorser(t).Issuer() }, true, false},
		"no did":                  {func(v *uvmtest.Envelope) { v.Protected["iss"] = "Microsoft" }, true, false},
		"signature by another key": {func(v *uvmtest.Envelope) {
			key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			v.Key = key
		}, false, true},
		"no feed": {func(v *uvmtest.Envelope) { delete(v.Protected, "feed") }, false, false},
	} {
		envelope, err := newEndorser(t).Envelope(measured, 1, "TEST-UVM")
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(envelope)
		raw, err := envelope.Sign()
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseEndorsement(raw)
		if err == nil || errors.Is(err, ErrIssuer) != c.issuer || errors.Is(err, ErrSignature) != c.signature {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

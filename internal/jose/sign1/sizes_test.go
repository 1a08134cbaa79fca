package sign1

import (
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
)

// A key so large that verification takes seconds is refused before use.
func TestHugeKeysAreRefused(t *testing.T) {
	huge := &x509.Certificate{PublicKey: &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 9000, 1), E: 65537}}
	if _, err := (DID{}).Resolve([]*x509.Certificate{huge, huge}); err == nil || !strings.Contains(err.Error(), "9001 bits") {
		t.Errorf("got %v", err)
	}
}

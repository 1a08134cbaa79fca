package hsm

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
)

// A key so large that verification takes seconds is refused before use.
func TestHugeKeysAreRefused(t *testing.T) {
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 9000, 1), E: 65537}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, huge, testSigner())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseChain([]string{base64.StdEncoding.EncodeToString(der)}); err == nil || !strings.Contains(err.Error(), "9001 bits") {
		t.Errorf("got %v", err)
	}
}

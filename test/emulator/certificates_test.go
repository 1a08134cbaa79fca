package emulator_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"testing"
)

type extension = pkix.Extension

func certPool(t *testing.T, pem []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the CA file")
	}
	return pool
}

func firstCertificate(t *testing.T, jwks []byte) *x509.Certificate {
	t.Helper()
	var set struct{ Keys []struct{ X5c [][]byte } }
	must(t, json.Unmarshal(jwks, &set))
	cert, err := x509.ParseCertificate(set.Keys[0].X5c[0])
	must(t, err)
	return cert
}

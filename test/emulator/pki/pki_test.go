package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"skr/test/emulator/pki"
)

func newCA(t *testing.T, c pki.Config) *pki.CA {
	t.Helper()
	ca, err := pki.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestStatementSigner(t *testing.T) {
	ca := newCA(t, pki.Config{})
	signer, err := ca.StatementSigner("vault.localhost", "*.vault.localhost")
	if err != nil {
		t.Fatal(err)
	}
	if len(signer.Chain) != 3 || signer.Key.Size() != 256 {
		t.Fatalf("%d certificates, a key of %d bytes", len(signer.Chain), signer.Key.Size())
	}
	leaf, intermediates := parse(t, signer.Chain[0]), x509.NewCertPool()
	intermediates.AddCert(parse(t, signer.Chain[1]))
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), Intermediates: intermediates, DNSName: "demo.vault.localhost"}); err != nil {
		t.Error(err)
	}
	if root := parse(t, signer.Chain[2]); root.Subject.CommonName != "skr emulator TEST ONLY" || root.CheckSignatureFrom(root) != nil {
		t.Errorf("the last certificate is %s", root.Subject)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: newCA(t, pki.Config{}).Pool(), Intermediates: intermediates}); err == nil {
		t.Error("the root of another start accepts it")
	}
	if _, err := ca.StatementSigner(); err == nil {
		t.Error("a signer without a name is accepted")
	}
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestGetCertificate(t *testing.T) {
	ca := newCA(t, pki.Config{})
	get := ca.GetCertificate(func(name string) bool { return strings.HasSuffix(name, ".localhost") })
	first, err := get(&tls.ClientHelloInfo{ServerName: "Demo.vault.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Leaf.VerifyHostname("demo.vault.localhost"); err != nil {
		t.Error(err)
	}
	if again, _ := get(&tls.ClientHelloInfo{ServerName: "demo.vault.localhost"}); again != first {
		t.Error("a second certificate for the same name")
	}
	for _, name := range []string{"", "example.com"} {
		if _, err := get(&tls.ClientHelloInfo{ServerName: name}); err == nil {
			t.Errorf("%q is served", name)
		}
	}
}

// TestValidity covers the emulated clock and the machine's.
func TestValidity(t *testing.T) {
	for _, emulated := range []time.Time{time.Now(), time.Unix(1744085700, 0), time.Now().AddDate(3, 0, 0)} {
		ca := newCA(t, pki.Config{Now: func() time.Time { return emulated }})
		leaf, err := ca.Certificate("demo.vault.localhost")
		if err != nil {
			t.Fatal(err)
		}
		intermediates := x509.NewCertPool()
		intermediates.AddCert(parse(t, leaf.Certificate[1]))
		for _, at := range []time.Time{emulated, time.Now()} {
			if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), Intermediates: intermediates, CurrentTime: at}); err != nil {
				t.Errorf("clock %v, at %v: %v", emulated, at, err)
			}
		}
	}
}

package pki_test

import (
	"crypto/x509"
	"errors"
	"testing"

	"skr/test/emulator/pki"
)

// TestDefective checks that each certificate has only its own defect.
func TestDefective(t *testing.T) {
	ca := newCA(t, pki.Config{})
	for _, d := range pki.Defects() {
		leaf, err := ca.Defective("demo.vault.localhost", d)
		if err != nil {
			t.Fatal(err)
		}
		intermediates := x509.NewCertPool()
		intermediates.AddCert(parse(t, leaf.Certificate[1]))
		_, err = leaf.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), Intermediates: intermediates, DNSName: "demo.vault.localhost"})
		if got := complaint(err); got != d {
			t.Errorf("%s: the certificate is %q: %v", d, got, err)
		}
	}
	if _, err := ca.Defective("demo.vault.localhost", "other"); err == nil {
		t.Error("an unknown defect is accepted")
	}
}

func complaint(err error) pki.Defect {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return pki.Expired
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return pki.WrongName
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return pki.ForeignCA
	}
	return ""
}

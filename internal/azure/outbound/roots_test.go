package outbound

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// If the system has no CAs, as in the image, the default verification trusts a root that
// Azure's services use. A process loads the system's CAs once, so a child process
// checks.
func TestRootsOfTheImage(t *testing.T) {
	const nowhere = "/nonexistent"
	if os.Getenv("SSL_CERT_FILE") != nowhere {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
		child.Env = append(os.Environ(), "SSL_CERT_FILE="+nowhere, "SSL_CERT_DIR="+nowhere)
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	roots, err := systemRoots()
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if certificate.Subject.CommonName != "DigiCert Global Root G2" {
			continue
		}
		looked++
		for name, pool := range map[string]*x509.CertPool{"ours": roots, "by default": nil} {
			if _, err := certificate.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if looked != 1 {
		t.Errorf("%d such roots", looked)
	}
}

package outbound

import (
	"crypto/x509"
	"errors"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"skr/internal/config"
)

const maxRootsFile = 1 << 20

// caRoots returns the CAs of the system (SSL_CERT_FILE works) and of ca_file.
func caRoots(s *config.Settings) (*x509.CertPool, error) {
	roots, err := systemRoots()
	if err != nil {
		return nil, err
	}
	if s.CAFile == "" {
		return roots, nil
	}
	data, err := config.ReadBounded(s.CAFile, maxRootsFile)
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, errors.New("holds no PEM certificate")
	}
	return roots, nil
}

// systemRoots returns the CAs of the system, or those of Mozilla if it has none, as in the image. Importing
// x509roots/fallback would parse them at each start of each command.
func systemRoots() (*x509.CertPool, error) {
	if roots, err := x509.SystemCertPool(); err == nil && !roots.Equal(x509.NewCertPool()) {
		return roots, nil
	}
	if err := useBundle(); err != nil {
		return nil, err
	}
	return x509.SystemCertPool()
}

// useBundle makes the CAs of Mozilla the default roots of the process.
var useBundle = sync.OnceValue(func() error {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return err
		}
		if root.Constraint == nil {
			pool.AddCert(certificate)
		} else {
			pool.AddCertWithConstraint(certificate, root.Constraint)
		}
	}
	x509.SetFallbackRoots(pool)
	return nil
})

package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"skr/internal/httpclient"
)

// imdsAddress is the link-local address that azidentity calls.
const imdsAddress = "169.254.169.254"

// outbound holds a client for each service, over two transports.
type outbound struct {
	roots                                       *x509.CertPool
	maa, vault, entra, imds, thim, certificates *httpclient.Client
}

func (s *settings) outbound() (*outbound, error) {
	roots, err := s.caRoots()
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	imds, err := url.Parse(s.IMDSURL)
	if err != nil || imds.Host == "" {
		return nil, fmt.Errorf("imds_url: %q is not a URL", s.IMDSURL)
	}
	public := httpclient.NewTransport(httpclient.TransportConfig{Roots: roots})
	local := httpclient.NewTransport(httpclient.TransportConfig{
		Roots: roots, Direct: true, Rewrite: map[string]*url.URL{imdsAddress: imds},
	})
	client := func(service string, transport http.RoundTripper) *httpclient.Client {
		return httpclient.New(httpclient.Config{Service: service, Transport: transport, Timeout: s.attemptTimeout()})
	}
	return &outbound{
		roots:        roots,
		maa:          client("the attestation service", public),
		vault:        client("the vault", public),
		entra:        client("Entra ID", public),
		certificates: client("the certificate service", public),
		imds:         client("the instance metadata service", local),
		thim:         client("the host's certificate cache", local),
	}, nil
}

// attemptTimeout leaves time for another attempt within the request's.
func (s *settings) attemptTimeout() time.Duration { return min(10*time.Second, s.RequestTimeout/3) }

// caRoots are the system's CAs (SSL_CERT_FILE works) and those of ca_file.
func (s *settings) caRoots() (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if s.CAFile == "" {
		return roots, nil
	}
	data, err := readBounded(s.CAFile, maxRootsFile)
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, errors.New("holds no PEM certificate")
	}
	return roots, nil
}

package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// isolate returns the certificate of the isolated authority.
func (o serveOptions) isolate() (func(host string) []*x509.Certificate, error) {
	if o.policyCertificate == "" {
		return func(string) []*x509.Certificate { return nil }, nil
	}
	text, err := os.ReadFile(o.policyCertificate)
	if err != nil {
		return nil, fmt.Errorf("--policy-certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("--policy-certificate: %s has no certificate in PEM", o.policyCertificate)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("--policy-certificate: %w", err)
	}
	return func(host string) []*x509.Certificate {
		if strings.HasPrefix(host, isolated+".attest.") {
			return []*x509.Certificate{certificate}
		}
		return nil
	}, nil
}

package vcek

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	// maxDocument bounds what a source may give. A genuine chain is 6 kB of
	// PEM, its THIM document little more.
	maxDocument = 64 << 10

	certificateBlock = "CERTIFICATE"
)

// ParsePEM reads what [NewChain] takes, and nothing between and around the
// certificates. Lines end with LF or CRLF.
func ParsePEM(data []byte) (*Chain, error) {
	certificates, err := parseAllCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("parsing PEM chain: %w", err)
	}
	chain, err := assemble(certificates)
	if err != nil {
		return nil, fmt.Errorf("parsing PEM chain: %w", err)
	}
	return chain, nil
}

// parseCertificates reads exactly want certificates.
func parseCertificates(data []byte, want int) ([]*x509.Certificate, error) {
	certificates, err := parseAllCertificates(data)
	if err != nil {
		return nil, err
	}
	if len(certificates) != want {
		return nil, fmt.Errorf("got %d certificates, want %d", len(certificates), want)
	}
	return certificates, nil
}

// parseAllCertificates refuses anything between and around the certificates:
// pem.Decode alone would skip it.
func parseAllCertificates(data []byte) ([]*x509.Certificate, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%d bytes are more than %d", len(data), maxDocument)
	}
	var certificates []*x509.Certificate
	for text := bytes.TrimSpace(data); len(text) > 0; {
		block, rest := pem.Decode(text)
		certificate, err := parseBlock(block, text[:len(text)-len(rest)])
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, certificate)
		text = bytes.TrimSpace(rest)
	}
	return certificates, nil
}

// parseBlock reads the block that was decoded from text.
func parseBlock(block *pem.Block, text []byte) (*x509.Certificate, error) {
	begin := []byte("-----BEGIN ")
	if block == nil || !bytes.HasPrefix(text, begin) || bytes.Count(text, begin) != 1 {
		return nil, errors.New("there is a malformed PEM block, or text outside of the blocks")
	}
	if block.Type != certificateBlock || len(block.Headers) > 0 {
		return nil, errors.New("the PEM block is not a plain CERTIFICATE")
	}
	return x509.ParseCertificate(block.Bytes)
}

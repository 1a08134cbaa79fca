package vcek

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	// maxDocument bounds the answer of a source. A genuine chain is 6 kB of PEM,
	// and its THIM document is slightly larger.
	maxDocument = 64 << 10

	certificateBlock = "CERTIFICATE"
)

// ParsePEM parses the certificates that [NewChain] accepts. Text between or around them
// is an error. Lines may end with LF or CRLF.
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

// parseCertificates parses exactly want certificates.
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

// parseAllCertificates refuses text between and around the certificates, which
// pem.Decode skips.
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

// parseBlock parses the block that was decoded from text.
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

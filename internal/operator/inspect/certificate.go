package inspect

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"skr/attest/vcek"
)

// maxCertificates bounds a file of them; AMD's own have three.
const maxCertificates = 64

var (
	pemBegin       = []byte("-----BEGIN ")
	pemCertificate = []byte("-----BEGIN CERTIFICATE-----")
)

// certificates are X.509 certificates in the order of the file.
type certificates []*x509.Certificate

func recogniseCertificates(in input) (content, error) {
	all, err := certificatesIn(in)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// certificatesIn reads PEM, or one certificate in DER. Zeros may follow both, and the DER in
// the PEM, because the size of a TPM's NV index is fixed.
func certificatesIn(in input) (certificates, error) {
	if text := bytes.TrimSpace(bytes.TrimRight(in.raw, "\x00")); bytes.HasPrefix(text, pemBegin) && bytes.Contains(text, pemCertificate) {
		return parsePEM(text)
	}
	der, ok := sequence(in.raw)
	if !ok {
		return nil, errOther
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errOther // DER of something else
	}
	return certificates{certificate}, nil
}

// sequence removes zeros that follow DER.
func sequence(raw []byte) ([]byte, bool) {
	var outer asn1.RawValue
	rest, err := asn1.Unmarshal(raw, &outer)
	if err != nil || outer.Tag != asn1.TagSequence || len(bytes.Trim(rest, "\x00")) > 0 {
		return nil, false
	}
	return outer.FullBytes, true
}

func parsePEM(text []byte) (certificates, error) {
	var all certificates
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("a block of PEM is malformed, or is no certificate")
		}
		if len(all) == maxCertificates {
			return nil, fmt.Errorf("there are more than %d certificates", maxCertificates)
		}
		der, ok := sequence(block.Bytes)
		if !ok {
			return nil, fmt.Errorf("certificate %d: it is not DER that zeros may follow", len(all)+1)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		all = append(all, certificate)
		text = bytes.TrimSpace(rest)
	}
	return all, nil
}

func (c certificates) sections(now time.Time) []Section {
	var sections []Section
	for _, certificate := range c {
		sections = append(sections, certificateSection(certificate, now))
	}
	return sections
}

func certificateSection(c *x509.Certificate, now time.Time) Section {
	s := Section{Title: "Certificate of " + c.Subject.String()}
	s.add("issuer", c.Issuer.String(), "")
	s.addTime("not before", c.NotBefore, now, "not valid before this")
	s.addExpiry("not after", c.NotAfter, now, "not valid after this")
	s.add("key", describeKey(c.PublicKey), "")
	s.add("signed with", c.SignatureAlgorithm.String(), "not verified here")
	s.add("SHA-256", digest(c.Raw), "fingerprint of the certificate")
	if len(c.DNSNames) > 0 {
		s.add("names", strings.Join(c.DNSNames, ", "), "servers that it is for")
	}
	if vcek.IsLeaf(c) {
		s.addLeaf(c)
	}
	return s
}

// addLeaf adds what AMD's extensions say (AMD 57230, table VCEK Certificate
// Extensions).
func (s *Section) addLeaf(c *x509.Certificate) {
	leaf, err := vcek.ParseLeaf(c)
	if err != nil {
		s.add("extensions", "malformed", err.Error())
		return
	}
	s.add("product", leaf.Product().String(), "line of processors")
	s.add("TCB", leaf.TCB().Hex(), leaf.TCB().String())
	if hwid := leaf.HWID(); len(hwid) > 0 {
		s.add("HWID", hex.EncodeToString(hwid), "the chip, as CHIP_ID of its reports")
	}
}

func describeKey(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + key.Curve.Params().Name
	}
	return fmt.Sprintf("%T", key)
}

package artefact

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

var pemBegin = []byte("-----BEGIN ")

// certificates are X.509 certificates in the order of the file.
type certificates []*x509.Certificate

func readCertificates(in input) (content, error) {
	if bytes.HasPrefix(in.text, pemBegin) && bytes.Contains(in.text, []byte("-----BEGIN CERTIFICATE-----")) {
		return parsePEM(in.text)
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

// sequence cuts the zeros that follow DER in the fixed space of a TPM's NV index.
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
		certificate, err := x509.ParseCertificate(block.Bytes)
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

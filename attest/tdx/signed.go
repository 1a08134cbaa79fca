package tdx

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"skr/internal/certificate"
	"skr/internal/strictjson"
)

// tcbSigner is the common name of the certificate that signs TCB info and QE identity (Intel
// PCS API, version 4, TCB-Info-Issuer-Chain).
const tcbSigner = "Intel SGX TCB Signing"

// signedDocument is JSON that Intel signed: the signature is over its exact bytes.
type signedDocument struct {
	content   []byte
	signature [64]byte
	signer    *x509.Certificate // nil if it did not come with the document
	issued    time.Time
	next      time.Time // a newer document is out at this time
}

// hexBytes are bytes as hexadecimal digits of either case.
type hexBytes []byte

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *hexBytes) UnmarshalText(text []byte) error {
	decoded, err := hex.DecodeString(string(text))
	if err != nil {
		return errors.New("has a value that is not hexadecimal digits")
	}
	*h = decoded
	return nil
}

func decode(text []byte, into any) error {
	if err := (strictjson.Decoder{}).Decode(text, into); err != nil {
		return fmt.Errorf("it %w", err)
	}
	return nil
}

// splitAnswer splits {"<member>":…,"signature":"…"}.
func splitAnswer(answer []byte, member string, issuers []byte) (signedDocument, error) {
	var content []byte
	signature := ""
	err := strictjson.Decoder{}.Members(answer, func(name string, value []byte) error {
		switch name {
		case member:
			content = value
		case "signature":
			text, _ := strictjson.Text(value)
			signature = string(text)
		}
		return nil
	})
	if err != nil {
		return signedDocument{}, fmt.Errorf("it %w", err)
	}
	return newDocument(string(content), signature, string(issuers))
}

// newDocument takes the signature in hexadecimal digits and the issuers as PEM, which may be
// "".
func newDocument(content, signature, issuers string) (signedDocument, error) {
	if content == "" {
		return signedDocument{}, errors.New("the signed document is missing")
	}
	raw, err := hex.DecodeString(signature)
	if err != nil || len(raw) != 64 {
		return signedDocument{}, errors.New("the signature is not 128 hexadecimal digits")
	}
	certificates, err := parseCertificates([]byte(issuers))
	if err != nil {
		return signedDocument{}, fmt.Errorf("its issuers: %w", err)
	}
	d := signedDocument{content: []byte(content), signature: [64]byte(raw)}
	return d.withIssuers(certificates), nil
}

// withIssuers returns the document with the certificate that is named as Intel's signer. It
// keeps one that it has.
func (d signedDocument) withIssuers(certificates []*x509.Certificate) signedDocument {
	if d.signer == nil {
		if at := slices.IndexFunc(certificates, IsCollateralSigner); at >= 0 {
			d.signer = certificates[at]
		}
	}
	return d
}

// IsCollateralSigner reports whether the certificate is named as the one that signs TCB info
// and QE identity.
func IsCollateralSigner(certificate *x509.Certificate) bool {
	return certificate.Subject.CommonName == tcbSigner
}

// verify checks that one of roots issued the signer, and that it signed the document.
func (d signedDocument) verify(roots *Roots) error {
	if d.signer == nil {
		return fmt.Errorf("the certificate of %q is not here", tcbSigner)
	}
	if _, err := roots.issuer(d.signer); err != nil {
		return err
	}
	if err := certificate.CheckSigner(d.signer); err != nil {
		return err
	}
	key, ok := d.signer.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || !verifyP256(key, d.content, d.signature) {
		return fmt.Errorf("the signature does not verify with the key of %q", tcbSigner)
	}
	return nil
}

// period is when both the document and the certificate of its signer are valid.
func (d signedDocument) period(name string) part {
	p := part{name, true, d.issued, d.next}
	if d.signer != nil && d.signer.NotBefore.After(p.from) {
		p.from = d.signer.NotBefore
	}
	if d.signer != nil && d.signer.NotAfter.Before(p.to) {
		p.to = d.signer.NotAfter
	}
	return p
}

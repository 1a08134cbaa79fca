package uvm

import (
	"fmt"
	"strings"

	"github.com/veraison/go-cose"
)

// Header is the content of a COSE_Sign1's protected header. Nothing in it has been verified.
type Header struct {
	Algorithm   string
	ContentType string
	Issuer      string // of its CWT claims, or "iss"
	Subject     string // of its CWT claims, or "feed"
	Critical    []string
	Payload     int // bytes

	hasSVN, hasFeed bool
}

// ReadHeader decodes a tagged COSE_Sign1 of any purpose.
func ReadHeader(raw []byte) (Header, error) {
	message, err := decodeSign1(raw)
	if err != nil {
		return Header{}, fmt.Errorf("reading a COSE_Sign1: %w", err)
	}
	protected := message.Headers.Protected
	h := Header{ContentType: describe(protected[labelContentType]), Payload: len(message.Payload)}
	if algorithm, err := protected.Algorithm(); err == nil {
		h.Algorithm = algorithm.String()
	}
	critical, _ := protected[labelCritical].([]any)
	for _, label := range critical {
		h.Critical = append(h.Critical, describe(label))
	}
	h.names(protected)
	return h, nil
}

func (h *Header) names(protected cose.ProtectedHeader) {
	h.Issuer, h.Subject = describe(protected[labelIssuer]), describe(protected[labelFeed])
	_, h.hasFeed = protected[labelFeed]
	claims, is := protected[labelCWTClaims].(map[any]any)
	if !is {
		return
	}
	h.Issuer, h.Subject = describe(claims[claimIssuer]), describe(claims[claimSubject])
	_, h.hasSVN = claims[claimSVN]
}

// IsEndorsement reports whether the message is meant as a UVM endorsement: its issuer is a
// did:x509 name, and it has a feed or a security version. [ParseEndorsement] verifies it.
func (h Header) IsEndorsement() bool {
	return (h.hasSVN || h.hasFeed) && strings.HasPrefix(h.Issuer, "did:x509:")
}

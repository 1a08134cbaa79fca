package uvm

import (
	"fmt"
	"strings"

	"github.com/veraison/go-cose"

	"skr/internal/jose/sign1"
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
	message, err := sign1.DecodeUnverified(raw, maxEndorsement)
	if err != nil {
		return Header{}, fmt.Errorf("reading a COSE_Sign1: %w", err)
	}
	protected := message.Headers.Protected
	h := Header{ContentType: sign1.Describe(protected[sign1.LabelContentType]), Payload: len(message.Payload)}
	if algorithm, err := protected.Algorithm(); err == nil {
		h.Algorithm = algorithm.String()
	}
	critical, _ := protected[sign1.LabelCritical].([]any)
	for _, label := range critical {
		h.Critical = append(h.Critical, sign1.Describe(label))
	}
	h.names(protected)
	return h, nil
}

func (h *Header) names(protected cose.ProtectedHeader) {
	h.Issuer, h.Subject = sign1.Describe(protected[sign1.LabelIssuer]), sign1.Describe(protected[sign1.LabelFeed])
	_, h.hasFeed = protected[sign1.LabelFeed]
	claims, is := protected[sign1.LabelCWTClaims].(map[any]any)
	if !is {
		return
	}
	h.Issuer, h.Subject = sign1.Describe(claims[sign1.ClaimIssuer]), sign1.Describe(claims[sign1.ClaimSubject])
	_, h.hasSVN = claims[sign1.ClaimSVN]
}

// fragmentType is the content type of a policy fragment, which has the same header.
const fragmentType = "application/unknown+rego"

// IsEndorsement reports whether the message is meant as a UVM endorsement: its issuer is a
// did:x509 name, it has a feed or a security version, and it is not a policy fragment.
// [ParseEndorsement] verifies it.
func (h Header) IsEndorsement() bool {
	return (h.hasSVN || h.hasFeed) && strings.HasPrefix(h.Issuer, "did:x509:") && h.ContentType != fragmentType
}

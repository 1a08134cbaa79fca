package sign1

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"

	"github.com/veraison/go-cose"
)

const (
	maxCertificates = 8
	maxName         = 2048 // characters of the issuer and of the feed
	// MaxDescribed is how many characters Describe returns.
	MaxDescribed = 200
)

// Labels of the protected header. Microsoft defines the text labels. The numbers are in the
// IANA "COSE Header Parameters" registry.
const (
	LabelCritical    = cose.HeaderLabelCritical
	LabelContentType = cose.HeaderLabelContentType
	LabelCWTClaims   = cose.HeaderLabelCWTClaims // RFC 9597
	LabelX5Chain     = cose.HeaderLabelX5Chain   // RFC 9360
	LabelIssuer      = "iss"
	LabelFeed        = "feed"
	// LabelPayloadHash is of a COSE hash envelope: the algorithm of the hash that is the payload.
	LabelPayloadHash = int64(258)
)

// Keys of the CWT claims (RFC 8392 section 4). Microsoft defines ClaimSVN.
const (
	ClaimIssuer  = int64(1)
	ClaimSubject = int64(2)
	ClaimSVN     = "svn"
)

// envelope is the protected header of a message.
type envelope struct {
	algorithm    cose.Algorithm
	chain        []*x509.Certificate // leaf first
	issuer, feed string
	claims       map[any]any
}

func readEnvelope(message *cose.Sign1Message) (*envelope, error) {
	if err := refuseUnprotected(message.Headers.Unprotected); err != nil {
		return nil, err
	}
	header := message.Headers.Protected
	if _, found := header[LabelCritical]; found {
		return nil, errors.New("the header names critical parameters, and none is understood")
	}
	algorithm, err := signingAlgorithm(header)
	if err != nil {
		return nil, err
	}
	chain, err := readChain(header[LabelX5Chain])
	if err != nil {
		return nil, err
	}
	e := &envelope{algorithm: algorithm, chain: chain}
	return e, e.readNames(header)
}

// refuseUnprotected refuses parameters in the unprotected header that are trusted in the
// protected header. Content types are not trusted.
func refuseUnprotected(header cose.UnprotectedHeader) error {
	for _, label := range []any{
		cose.HeaderLabelAlgorithm, LabelCritical, LabelCWTClaims, LabelX5Chain,
		LabelIssuer, LabelFeed, LabelPayloadHash,
	} {
		if _, found := header[label]; found {
			return fmt.Errorf("parameter %v is in the unprotected header", label)
		}
	}
	return nil
}

// signingAlgorithm allows the same algorithms as CCF: RSA with PSS, and ECDSA.
func signingAlgorithm(header cose.ProtectedHeader) (cose.Algorithm, error) {
	algorithm, err := header.Algorithm()
	if err != nil {
		return 0, fmt.Errorf("reading the algorithm: %w", err)
	}
	switch algorithm {
	case cose.AlgorithmPS256, cose.AlgorithmPS384, cose.AlgorithmPS512,
		cose.AlgorithmES256, cose.AlgorithmES384, cose.AlgorithmES512:
		return algorithm, nil
	default:
		return 0, fmt.Errorf("algorithm %v is not one of PS256, PS384, PS512, ES256, ES384, ES512", algorithm)
	}
}

// readChain parses x5chain. RFC 9360 also allows one bare certificate instead of an array,
// but did:x509 needs a CA as well.
func readChain(value any) ([]*x509.Certificate, error) {
	items, ok := value.([]any)
	if !ok || len(items) < 2 || len(items) > maxCertificates {
		return nil, fmt.Errorf("x5chain is not an array of 2 to %d certificates", maxCertificates)
	}
	chain := make([]*x509.Certificate, 0, len(items))
	for i, item := range items {
		der, ok := item.([]byte)
		if !ok {
			return nil, fmt.Errorf("x5chain entry %d is not a byte string", i)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("x5chain entry %d: %w", i, err)
		}
		chain = append(chain, certificate)
	}
	return chain, nil
}

// readNames parses issuer and feed, which are CWT claims or, in older messages, in text
// labels.
func (e *envelope) readNames(header cose.ProtectedHeader) (err error) {
	issuer, feed, from := any(LabelIssuer), any(LabelFeed), map[any]any(header)
	if value, found := header[LabelCWTClaims]; found {
		var ok bool
		if e.claims, ok = value.(map[any]any); !ok {
			return errors.New("the CWT claims are not a map")
		}
		issuer, feed, from = ClaimIssuer, ClaimSubject, e.claims
	}
	if e.issuer, err = text(from, issuer); err != nil {
		return err
	}
	e.feed, err = text(from, feed)
	return err
}

func text(header map[any]any, label any) (string, error) {
	value, ok := header[label].(string)
	if !ok || value == "" || len(value) > maxName {
		return "", fmt.Errorf("parameter %v is not a text of 1 to %d characters", label, maxName)
	}
	return value, nil
}

// SVN returns the security version number of the CWT claims. It returns false if they have
// none, and an error if it is not a number.
func (m *Message) SVN() (svn uint64, found bool, err error) {
	value, found := m.Claims[ClaimSVN]
	if !found {
		return 0, false, nil
	}
	number, ok := value.(int64)
	if !ok || number < 0 {
		return 0, true, errors.New("the CWT claim svn is not an unsigned number")
	}
	return uint64(number), true, nil
}

// Describe returns a text or number as shortened text, and "" for other values.
func Describe(value any) string {
	switch value := value.(type) {
	case string:
		return value[:min(len(value), MaxDescribed)]
	case int64:
		return strconv.FormatInt(value, 10) // of the CoAP registry
	}
	return ""
}

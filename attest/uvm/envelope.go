package uvm

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

// Bounds of a message. Real messages have 6 to 11 KB, with three certificates and a time
// stamp of 5 KB.
const (
	maxEndorsement  = 64 << 10
	maxCertificates = 8
	maxName         = 2048 // characters of the issuer and of the feed
	maxContentType  = 200  // characters that are shown
)

// Labels of the protected header. Microsoft defines the text labels. The numbers are in the
// IANA "COSE Header Parameters" registry.
const (
	labelCritical    = cose.HeaderLabelCritical
	labelContentType = cose.HeaderLabelContentType
	labelCWTClaims   = cose.HeaderLabelCWTClaims // RFC 9597
	labelX5Chain     = cose.HeaderLabelX5Chain   // RFC 9360
	labelIssuer      = "iss"
	labelFeed        = "feed"

	labelPayloadHash    = int64(258) // COSE hash envelope: algorithm of the hash that is the payload
	labelPreimageFormat = int64(259) // COSE hash envelope: content type of what was hashed
)

// Keys of the CWT claims (RFC 8392 section 4). Microsoft defines "svn".
const (
	claimIssuer  = int64(1)
	claimSubject = int64(2)
	claimSVN     = "svn"
)

const hashSHA384 = int64(-43) // IANA "COSE Algorithms" registry, RFC 9054 section 2.1

// strict refuses deep nesting, long arrays and large maps, which go-cose accepts. Both
// refuse duplicate keys.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		MaxNestedLevels:  8,
		MaxArrayElements: 64,
		MaxMapPairs:      64,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// envelope is the protected header of an endorsement.
type envelope struct {
	algorithm    cose.Algorithm
	chain        []*x509.Certificate // leaf first
	issuer, feed string
	contentType  string // informative: see Endorsement.ContentType
	statement    func(payload []byte) (statement, error)
}

// decodeSign1 accepts exactly one tagged COSE_Sign1 with definite lengths.
func decodeSign1(raw []byte) (*cose.Sign1Message, error) {
	if len(raw) > maxEndorsement {
		return nil, fmt.Errorf("%d bytes are more than the %d allowed", len(raw), maxEndorsement)
	}
	if err := strict.Wellformed(raw); err != nil {
		return nil, fmt.Errorf("decoding CBOR: %w", err)
	}
	var message cose.Sign1Message
	if err := message.UnmarshalCBOR(raw); err != nil {
		return nil, fmt.Errorf("decoding COSE_Sign1: %w", err)
	}
	var protected []byte
	if err := strict.Unmarshal(message.Headers.RawProtected, &protected); err != nil {
		return nil, fmt.Errorf("decoding the protected header: %w", err)
	}
	if err := strict.Wellformed(protected); err != nil {
		return nil, fmt.Errorf("decoding the protected header: %w", err)
	}
	return &message, nil
}

func readEnvelope(message *cose.Sign1Message) (*envelope, error) {
	if err := refuseUnprotected(message.Headers.Unprotected); err != nil {
		return nil, err
	}
	header := message.Headers.Protected
	if _, found := header[labelCritical]; found {
		return nil, errors.New("the header names critical parameters, and none is understood")
	}
	algorithm, err := signingAlgorithm(header)
	if err != nil {
		return nil, err
	}
	chain, err := readChain(header[labelX5Chain])
	if err != nil {
		return nil, err
	}
	e := &envelope{algorithm: algorithm, chain: chain}
	if claims, found := header[labelCWTClaims]; found {
		return e, e.readClaims(header, claims)
	}
	return e, e.readNames(header)
}

// refuseUnprotected refuses parameters in the unprotected header that are trusted in the
// protected header. Content types are not trusted.
func refuseUnprotected(header cose.UnprotectedHeader) error {
	for _, label := range []any{
		cose.HeaderLabelAlgorithm, labelCritical, labelCWTClaims, labelX5Chain,
		labelIssuer, labelFeed, labelPayloadHash,
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

// readNames parses the layout up to ContainerPlat 0.2.9: names in text labels, and
// measurement and version in a JSON payload.
func (e *envelope) readNames(header cose.ProtectedHeader) (err error) {
	if e.issuer, err = text(header, labelIssuer); err != nil {
		return err
	}
	if e.feed, err = text(header, labelFeed); err != nil {
		return err
	}
	e.statement, e.contentType = parseStatement, describe(header[labelContentType])
	return nil
}

// readClaims parses the layout since ContainerPlat 0.2.10 (CCF,
// src/node/uvm_endorsements.cpp, decode_protected_header_with_cwt): names and version in CWT
// claims, and only the measurement as the payload, which makes the message a COSE hash
// envelope.
func (e *envelope) readClaims(header cose.ProtectedHeader, value any) (err error) {
	claims, ok := value.(map[any]any)
	if !ok {
		return errors.New("the CWT claims are not a map")
	}
	if e.issuer, err = text(claims, claimIssuer); err != nil {
		return err
	}
	if e.feed, err = text(claims, claimSubject); err != nil {
		return err
	}
	number, ok := claims[claimSVN].(int64)
	if !ok || number < 0 {
		return errors.New("the CWT claim svn is not an unsigned number")
	}
	svn := uint64(number)
	// A launch digest is SHA-384. With another hash the payload is something else.
	if hash, found := header[labelPayloadHash]; found && hash != hashSHA384 {
		return fmt.Errorf("the payload's hash algorithm %v is not SHA-384 (%d)", hash, hashSHA384)
	}
	e.statement = func(payload []byte) (statement, error) { return bareStatement(payload, svn) }
	e.contentType = describe(header[labelPreimageFormat])
	return nil
}

func text(header map[any]any, label any) (string, error) {
	value, ok := header[label].(string)
	if !ok || value == "" || len(value) > maxName {
		return "", fmt.Errorf("parameter %v is not a text of 1 to %d characters", label, maxName)
	}
	return value, nil
}

// describe returns a text or number as shortened text, and "" for other values.
func describe(value any) string {
	switch value := value.(type) {
	case string:
		return value[:min(len(value), maxContentType)]
	case int64:
		return strconv.FormatInt(value, 10) // of the CoAP registry
	}
	return ""
}

package sign1

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Syntax of did:x509 version 0 ("did:x509 Method Specification",
// github.com/microsoft/did-x509, section DID Syntax).
const (
	didPrefix    = "did:x509:0:"
	didSeparator = "::"
	maxPolicies  = 16
)

// DID is a did:x509 name. It names a signer by a CA certificate above it and by policies
// that the signer's certificate meets.
type DID struct {
	fingerprint [sha256.Size]byte // of the CA's DER
	policies    []policy
}

// ParseDID parses "did:x509:0:sha256:<base64url>::<policy>:<value>::…". The specification
// also allows sha384 and sha512, which no known signer uses.
func ParseDID(text string) (DID, error) {
	d, err := parseDIDParts(text)
	if err != nil {
		return DID{}, fmt.Errorf("issuer %.200q: %w", text, err)
	}
	return d, nil
}

func parseDIDParts(text string) (DID, error) {
	rest, ok := strings.CutPrefix(text, didPrefix)
	if !ok {
		return DID{}, fmt.Errorf("does not begin with %q", didPrefix)
	}
	parts := strings.SplitN(rest, didSeparator, maxPolicies+2)
	if len(parts) < 2 || len(parts) > maxPolicies+1 {
		return DID{}, fmt.Errorf("does not have 1 to %d policies", maxPolicies)
	}
	fingerprint, err := parseFingerprint(parts[0])
	if err != nil {
		return DID{}, err
	}
	d := DID{fingerprint: fingerprint}
	for _, part := range parts[1:] {
		p, err := parsePolicy(part)
		if err != nil {
			return DID{}, err
		}
		d.policies = append(d.policies, p)
	}
	return d, nil
}

func parseFingerprint(text string) (sum [sha256.Size]byte, err error) {
	encoded, ok := strings.CutPrefix(text, "sha256:")
	if !ok {
		return sum, errors.New("the fingerprint's algorithm is not sha256")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != len(sum) || strings.ContainsAny(encoded, "\r\n") {
		return sum, errors.New("the fingerprint is not the base64url of 32 bytes")
	}
	copy(sum[:], raw)
	return sum, nil
}

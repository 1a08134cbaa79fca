// Package jws parses signed objects in the compact serialisation of RFC 7515 section 7.1,
// more strictly than the RFC requires, and verifies them with a key that the caller trusts.
//
//	signed, err := jws.Parse(text, maxBytes)
//	err = signed.Verify(certificate.PublicKey)
//
// The key determines which algorithms are possible, and the header only selects one of them.
// The package has neither "none" nor keyed hashes. It does not use keys that a header names
// (jwk, jku, x5u, kid).
package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/jose/jwk"
)

// minRSABits is the minimum of RFC 7518 section 3.3.
const minRSABits = 2048

// MaxRSABits bounds keys. Verifying with a key of 400,000 bits, which fits into a
// certificate, takes seconds and cannot be cancelled.
const MaxRSABits = 8192

// Signed is a parsed object that has not been verified.
type Signed struct {
	// Header is the protected header's JSON, without duplicate members. Decode further
	// members with [jwk.Unmarshal].
	Header []byte
	// Payload is the signed content.
	Payload []byte
	// Algorithm and KeyID are the header's alg and kid; "" if it has none.
	Algorithm, KeyID string
	// X5c is the header's x5c, certificates in base64. They have not been verified.
	X5c []string

	input     string
	signature []byte
}

// Parse parses an object of at most limit bytes.
func Parse(text string, limit int) (*Signed, error) {
	if len(text) > limit {
		return nil, fmt.Errorf("is longer than %d bytes", limit)
	}
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 {
		return nil, errors.New("does not have three parts")
	}
	s := &Signed{input: parts[0] + "." + parts[1]}
	for i, into := range []*[]byte{&s.Header, &s.Payload, &s.signature} {
		var err error
		if *into, err = decode(parts[i]); err != nil {
			return nil, fmt.Errorf("part %d %w", i+1, err)
		}
	}
	return s, s.parseHeader()
}

func (s *Signed) parseHeader() error {
	var header struct {
		Alg  string          `json:"alg"`
		Kid  string          `json:"kid"`
		X5c  []string        `json:"x5c"`
		Crit json.RawMessage `json:"crit"`
	}
	if err := jwk.Unmarshal(s.Header, &header); err != nil {
		return fmt.Errorf("the header: %w", err)
	}
	// RFC 7515 section 4.1.11: a critical extension that is not supported must be
	// refused. None is supported.
	if len(header.Crit) > 0 {
		return errors.New("the header has critical extensions")
	}
	s.Algorithm, s.KeyID, s.X5c = header.Alg, header.Kid, header.X5c
	return nil
}

// Digest returns the SHA-256 of the signed content, to recognise repeated objects. Objects
// that differ only in their signature have the same digest.
func (s *Signed) Digest() (digest [sha256.Size]byte) {
	parts := sha256.New() // of the decoded parts: their base64 is unique, because Parse is strict
	_, _ = parts.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s.Header))))
	_, _ = parts.Write(s.Header)
	_, _ = parts.Write(s.Payload)
	parts.Sum(digest[:0])
	return digest
}

// decode decodes base64url without padding, line breaks or stray bits (RFC 7515 section 2).
func decode(text string) ([]byte, error) {
	data, err := jwk.DecodeStrict(base64.RawURLEncoding, text)
	if err != nil {
		return nil, errors.New("is not base64url")
	}
	return data, nil
}

// Verify verifies the signature with a key.
func (s *Signed) Verify(key crypto.PublicKey) error {
	method, err := methodFor(s.Algorithm, key)
	if err != nil {
		return err
	}
	if err := method.Verify(s.input, s.signature, key); err != nil {
		return fmt.Errorf("verifying the signature: %w", err)
	}
	return nil
}

// methodFor returns the algorithm of the header, if it is one of RFC 7518 section 3.1 that
// suits the key. Each curve has exactly one. golang-jwt itself accepts ES384 with a P-256
// key.
func methodFor(algorithm string, key crypto.PublicKey) (jwt.SigningMethod, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > MaxRSABits {
			return nil, fmt.Errorf("the signer's RSA key has %d bits", bits)
		}
		if method, ok := rsaMethods[algorithm]; ok {
			return method, nil
		}
	case *ecdsa.PublicKey:
		if method, ok := curveMethods[key.Curve]; ok && method.Alg() == algorithm {
			return method, nil
		}
	default:
		return nil, errors.New("the signer's key is neither RSA nor ECDSA")
	}
	return nil, fmt.Errorf("algorithm %.20q does not fit the signer's key", algorithm)
}

var rsaMethods = map[string]jwt.SigningMethod{
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": saltAsHash(jwt.SigningMethodPS256), "PS384": saltAsHash(jwt.SigningMethodPS384), "PS512": saltAsHash(jwt.SigningMethodPS512),
}

// saltAsHash requires a salt as long as the hash (RFC 7518 section 3.5). golang-jwt accepts
// any length.
func saltAsHash(method *jwt.SigningMethodRSAPSS) jwt.SigningMethod {
	strict := *method
	strict.VerifyOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: method.Hash}
	return &strict
}

var curveMethods = map[elliptic.Curve]jwt.SigningMethod{
	elliptic.P256(): jwt.SigningMethodES256,
	elliptic.P384(): jwt.SigningMethodES384,
	elliptic.P521(): jwt.SigningMethodES512,
}

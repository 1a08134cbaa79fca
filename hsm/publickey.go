package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"skr/internal/jose/jwk"
)

// PublicPEM encodes an RSA key, or a key on one of the four curves, as
// SubjectPublicKeyInfo (RFC 5280 section 4.1) in PEM. crypto/x509 does not support
// secp256k1.
func PublicPEM(public crypto.PublicKey) ([]byte, error) {
	der, err := marshalPublic(public)
	if err != nil {
		return nil, fmt.Errorf("writing a public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

func marshalPublic(public crypto.PublicKey) ([]byte, error) {
	key, isEC := public.(*ecdsa.PublicKey)
	if !isEC {
		return x509.MarshalPKIXPublicKey(public)
	}
	oid, err := oidOf(key.Curve)
	if err != nil {
		return nil, err
	}
	point, err := jwk.PointBytes(key)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidEC)
			b.AddASN1ObjectIdentifier(oid)
		})
		b.AddASN1BitString(point)
	})
	return b.Bytes()
}

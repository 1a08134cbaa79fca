package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/internal/secmem"
)

// member is a private member of a JWK (RFC 7518 sections 6.2.2, 6.3.2, 6.4.1).
type member struct {
	name  string
	value []byte
}

// secretMembers are the private members of an RSA key that was validated or of
// an EC key.
func secretMembers(private crypto.PrivateKey) ([]member, error) {
	switch private := private.(type) {
	case *rsa.PrivateKey:
		return []member{
			{"d", private.D.Bytes()}, {"p", private.Primes[0].Bytes()}, {"q", private.Primes[1].Bytes()},
			{"dp", private.Precomputed.Dp.Bytes()}, {"dq", private.Precomputed.Dq.Bytes()}, {"qi", private.Precomputed.Qinv.Bytes()},
		}, nil
	case *ecdsa.PrivateKey:
		scalar, err := jwk.ScalarBytes(private)
		return []member{{"d", scalar}}, err
	}
	return nil, fmt.Errorf("a %T has no JWK", private)
}

// privateJWK writes the private members behind the public ones, and wipes them.
// encoding/json sees none: it keeps what it wrote in buffers of its own, and
// takes strings, which cannot be wiped.
func privateJWK(public jwk.Key, secret []member) ([]byte, error) {
	head, err := json.Marshal(public)
	if err != nil {
		return nil, fmt.Errorf("writing the key as JWK: %w", err)
	}
	size := len(head)
	for _, m := range secret {
		size += len(`,"":""`) + len(m.name) + base64.RawURLEncoding.EncodedLen(len(m.value))
	}
	text := append(make([]byte, 0, size), head[:len(head)-1]...) // never grows: that would leave a copy
	for _, m := range secret {
		text = append(append(append(text, `,"`...), m.name...), `":"`...)
		text = append(base64.RawURLEncoding.AppendEncode(text, m.value), '"')
		secmem.Wipe(m.value)
	}
	return append(text, '}'), nil
}

// erase overwrites what can be reached of a parsed private key.
func erase(private crypto.PrivateKey) {
	switch private := private.(type) {
	case *rsa.PrivateKey:
		keywrap.Erase(private)
	case *ecdsa.PrivateKey:
		clear(private.D.Bits()) //nolint:staticcheck // what is deprecated still holds the scalar
	}
}

package maa_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/attest"
	"skr/attest/maa"
)

// A relying party verifies a token with keys that it already has from the authority.
// [maa.Client.Keys] gets them from the authority.
func ExampleToken_Verify() {
	text, jwks := tokenOfAuthority()
	authorities, err := attest.ParseAuthorities([]string{"*.attest.azure.net"})
	if err != nil {
		fmt.Println(err)
		return
	}
	authority, err := authorities.Parse("sharedeus.eus.attest.azure.net")
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := maa.ParseUnverified(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := maa.ParseKeys(jwks)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := token.Verify(authority, keys, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("about:", token.Claims()["x-ms-attestation-type"])

	err = token.Verify(authority, keys, time.Now().Add(24*time.Hour))
	fmt.Println("tomorrow, expired:", errors.Is(err, maa.ErrTimes))
	// Output:
	// about: sevsnpvm
	// tomorrow, expired: true
}

// tokenOfAuthority signs a token as the authority does and returns the authority's JWKS.
func tokenOfAuthority() (text string, jwks []byte) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://sharedeus.eus.attest.azure.net", "exp": time.Now().Add(time.Hour).Unix(),
		"x-ms-attestation-type": "sevsnpvm",
	})
	token.Header["kid"] = "1"
	if text, err = token.SignedString(key); err != nil {
		panic(err)
	}
	modulus := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
	return text, fmt.Appendf(nil, `{"keys":[{"kid":"1","kty":"RSA","e":"AQAB","n":%q}]}`, modulus)
}

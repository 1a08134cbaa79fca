package maa

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
)

// header has the members of a real token's header in their order.
type header struct {
	Alg string `json:"alg"`
	Jku string `json:"jku"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

// draft is an unsigned token, so that a forgery can change it.
type draft struct {
	header header
	claims map[string]any
	sign   func(signed []byte) ([]byte, error)
}

// forgery returns the forgery for the next answer.
func (i *Instance) forgery() Forgery {
	if i.config.Forge == nil {
		return ""
	}
	return i.config.Forge()
}

// issue signs the claims, after it has applied the requested forgery.
func (i *Instance) issue(claims map[string]any, f Forgery) (string, error) {
	d := &draft{
		header: header{Alg: "RS256", Jku: i.config.Issuer + "/certs", Kid: i.key.kid, Typ: "JWT"},
		claims: claims,
		sign:   rs256(i.key.private),
	}
	if err := d.spoil(f, i.key); err != nil {
		return "", err
	}
	return d.encode()
}

// encode returns the JWS compact serialisation, RFC 7515 section 3.1.
func (d *draft) encode() (string, error) {
	head, err := marshal(d.header)
	if err != nil {
		return "", err
	}
	payload, err := marshal(d.claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := d.sign([]byte(signed))
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func rs256(key *rsa.PrivateKey) func([]byte) ([]byte, error) {
	return func(signed []byte) ([]byte, error) {
		digest := sha256.Sum256(signed)
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	}
}

func hs256(secret []byte) func([]byte) ([]byte, error) {
	return func(signed []byte) ([]byte, error) {
		mac := hmac.New(sha256.New, secret)
		mac.Write(signed)
		return mac.Sum(nil), nil
	}
}

func unsigned([]byte) ([]byte, error) { return nil, nil }

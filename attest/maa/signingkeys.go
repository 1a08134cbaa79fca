package maa

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"

	"skr/attest"
	"skr/internal/jose/jwk"
)

// Keys are the public keys with which an authority signs its tokens. They are made by
// [ParseKeys] and [Client.Keys].
type Keys struct{ list []jwk.Key }

// ParseKeys reads a JWK Set (RFC 7517 section 5), as an authority publishes it at /certs, or
// one certificate as PEM. The key of a certificate has no id and serves for any token.
func ParseKeys(data []byte) (*Keys, error) {
	text := bytes.TrimSpace(data)
	if bytes.HasPrefix(text, []byte("{")) {
		set, err := jwk.ParseSet(text)
		if err != nil {
			return nil, err
		}
		return &Keys{set.Keys}, nil
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("this is neither a JWKS nor one certificate as PEM")
	}
	return &Keys{[]jwk.Key{{Kty: "RSA", X5c: []string{base64.StdEncoding.EncodeToString(block.Bytes)}}}}, nil
}

// Keys returns the keys that the authority publishes. They are at most an hour old. The error
// wraps [ErrUntrusted], [ErrThrottled] or [ErrUnavailable], or the context's error.
func (c *Client) Keys(ctx context.Context, authority attest.Authority) (*Keys, error) {
	set, err := c.keys.set(ctx, authority, keysMaxAge)
	if err != nil {
		return nil, err
	}
	return &Keys{set.keys}, nil
}

// named is the key with the id, or the only key if it has none.
func (k *Keys) named(id string) (jwk.Key, bool) {
	if k == nil {
		return jwk.Key{}, false
	}
	if key, found := (keySet{keys: k.list}).find(id); found {
		return key, true
	}
	if len(k.list) == 1 && k.list[0].Kid == "" {
		return k.list[0], true
	}
	return jwk.Key{}, false
}

package maa

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/attest"
	"skr/internal/jose/jws"
	"skr/internal/strictjson"
)

// Token is a token from elsewhere, taken apart and not verified. Trust it only after
// [Token.Verify], whose steps are methods of their own for tools that tell each.
type Token struct {
	signed *jws.Signed
	claims strictjson.Object
}

// ParseUnverified takes a token apart. It checks the form only, not who made the token.
func ParseUnverified(text string) (*Token, error) {
	signed, err := jws.Parse(text, maxToken)
	if err != nil {
		return nil, fmt.Errorf("parsing token: it %w", err)
	}
	claims, err := strictjson.Parse(signed.Payload)
	if err != nil {
		return nil, fmt.Errorf("parsing token: its payload %w", err)
	}
	return &Token{signed, claims}, nil
}

// Claims are the members of the payload. Values are string, bool, json.Number, nil, []any
// or map[string]any, and must not be changed.
func (t *Token) Claims() map[string]any { return t.claims.Members() }

// Payload is the JSON object that holds the claims, as it was signed.
func (t *Token) Payload() []byte { return bytes.Clone(t.signed.Payload) }

// Issuer is the iss claim; "" if there is none.
func (t *Token) Issuer() string {
	issuer, _ := t.claims.Text("iss")
	return issuer
}

// Verify checks that one of keys signed the token, that authority issued it, and that it is
// valid at the time now. The error joins what failed: [ErrSignature], [ErrIssuer],
// [ErrTimes]. Verify does not judge the claims.
func (t *Token) Verify(authority attest.Authority, keys *Keys, now time.Time) error {
	return errors.Join(t.VerifySignature(keys), t.CheckIssuer(authority), t.CheckTimes(now))
}

// VerifyToken checks the token's signature with a key that the authority
// publishes now. The error is that of [Client.Appraise].
func (c *Client) VerifyToken(ctx context.Context, authority attest.Authority, t *Token) error {
	return verifySignature(authority, t.signed, func(id, algorithm string) (*rsa.PublicKey, error) {
		return c.keys.key(ctx, authority, id, algorithm)
	})
}

// VerifySignature checks the token's signature with the key that the token names, or with a
// single key that has no id. Its error wraps [ErrSignature].
func (t *Token) VerifySignature(keys *Keys) error {
	return failed(ErrSignature, t.verifySignature(keys))
}

func (t *Token) verifySignature(keys *Keys) error {
	key, found := keys.named(t.signed.KeyID)
	if !found {
		return fmt.Errorf("none of the keys has the token's key id %.100q", t.signed.KeyID)
	}
	if !slices.Contains(algorithms, t.signed.Algorithm) {
		return fmt.Errorf("the token is signed with %.20q, want one of %s", t.signed.Algorithm, strings.Join(algorithms, ", "))
	}
	public, err := jws.RSAVerificationKey(key, t.signed.Algorithm)
	if err != nil {
		return fmt.Errorf("using the key: %w", err)
	}
	return t.signed.Verify(public)
}

// CheckIssuer checks that the token names the authority as its issuer. Its error wraps
// [ErrIssuer].
func (t *Token) CheckIssuer(authority attest.Authority) error {
	if err := checkIssuer(authority, t.claims); err != nil {
		return failed(ErrIssuer, fmt.Errorf("the token's issuer is %.300q, want %q", t.Issuer(), authority.Issuer()))
	}
	return nil
}

// CheckTimes checks that the token is valid at the time now, with a minute of tolerance. Its
// error wraps [ErrTimes].
func (t *Token) CheckTimes(now time.Time) error {
	if err := checkTimes(t.claims, func() time.Time { return now }); err != nil {
		return failed(ErrTimes, errors.New(complaint(err)))
	}
	return nil
}

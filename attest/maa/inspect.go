package maa

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/attest"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
	"skr/internal/strictjson"
)

// Token is a token that somebody has, taken apart and not verified. Its checks
// are those of [Client.Appraise], one by one, for tools that tell each; a token
// is to be believed only if all of them pass.
type Token struct {
	signed *jws.Signed
	claims strictjson.Object
}

// ParseUnverified takes a token apart. It says nothing of who made it.
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

// Claims are the token's payload.
func (t *Token) Claims() strictjson.Object { return t.claims }

// Issuer is the iss claim; "" if there is none.
func (t *Token) Issuer() string {
	issuer, _ := t.claims.Text("iss")
	return issuer
}

// VerifyToken checks the token's signature with a key that the authority
// publishes now. The error is that of [Client.Appraise].
func (c *Client) VerifyToken(ctx context.Context, authority attest.Authority, t *Token) error {
	return verifySignature(authority, t.signed, func(id, algorithm string) (*rsa.PublicKey, error) {
		return c.keys.key(ctx, authority, id, algorithm)
	})
}

// VerifySignature checks the token's signature with keys that the caller trusts:
// the one that the token names, or a single key without an id.
func (t *Token) VerifySignature(set jwk.Set) error {
	key, found := keySet{keys: set.Keys}.find(t.signed.KeyID)
	if !found && len(set.Keys) == 1 && set.Keys[0].Kid == "" {
		key, found = set.Keys[0], true
	}
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

// CheckIssuer says whether the authority issued the token, by its own word.
func (t *Token) CheckIssuer(authority attest.Authority) error {
	if err := checkIssuer(authority, t.claims); err != nil {
		return fmt.Errorf("the token's issuer is %.300q, want %q", t.Issuer(), authority.Issuer())
	}
	return nil
}

// CheckTimes says whether the token is valid at the time now, give or take a
// minute.
func (t *Token) CheckTimes(now time.Time) error {
	if err := checkTimes(t.claims, func() time.Time { return now }); err != nil {
		return errors.New(complaint(err))
	}
	return nil
}

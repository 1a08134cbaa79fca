package maa

import (
	"context"
	"crypto/rsa"
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/attest"
	"skr/internal/jose/jws"
	"skr/internal/secmem"
	"skr/internal/strictjson"
)

// leeway allows for clocks that differ: a token is valid from a minute before its nbf to
// a minute after its exp.
const leeway = time.Minute

const maxKeyID = 1024

// algorithms are for RSA keys with PKCS #1 v1.5. MAA signs with RS256. "none" and keyed
// hashes must never be in this list: with them, anyone could sign.
var algorithms = []string{"RS256", "RS384", "RS512"}

// verifyToken checks a token's form, signature, issuer and times.
func (c *Client) verifyToken(ctx context.Context, authority attest.Authority, token string, keys keysAhead) (*attest.Result, error) {
	return parseToken(authority, token, c.now, func(id, algorithm string) (*rsa.PublicKey, error) {
		if err := keys.wait(); err != nil {
			return nil, err
		}
		return c.keys.key(ctx, authority, id, algorithm)
	})
}

// keyFinder returns the authority's key with an id, for an algorithm.
type keyFinder func(id, algorithm string) (*rsa.PublicKey, error)

// parseToken parses and verifies a token with the key that find returns for its kid.
func parseToken(authority attest.Authority, token string, now func() time.Time, find keyFinder) (*attest.Result, error) {
	signed, err := jws.Parse(token, maxToken)
	if err != nil {
		return nil, untrusted(authority, "its token is malformed", err)
	}
	if err := verifySignature(authority, signed, find); err != nil {
		return nil, err
	}
	claims, err := strictjson.Parse(signed.Payload)
	if err != nil {
		return nil, untrusted(authority, "its token's claims are malformed", err)
	}
	expires, err := validate(authority, claims, now)
	if err != nil {
		return nil, untrusted(authority, complaint(err), err)
	}
	return &attest.Result{Token: secmem.NewText(token), Claims: claims, Expires: expires}, nil
}

// verifySignature checks the algorithm before it asks for the key, so that a forged token
// causes no request. It reads only alg and kid of the header.
func verifySignature(authority attest.Authority, signed *jws.Signed, find keyFinder) error {
	if !slices.Contains(algorithms, signed.Algorithm) {
		return untrusted(authority, "its token's signing algorithm or key cannot be used", nil)
	}
	if signed.KeyID == "" || len(signed.KeyID) > maxKeyID {
		return untrusted(authority, "its token's header names no signing key", nil)
	}
	key, err := find(signed.KeyID, signed.Algorithm)
	if err != nil {
		return err
	}
	if err := signed.Verify(key); err != nil {
		return untrusted(authority, "its token's signature does not verify", err)
	}
	return nil
}

// validate checks issuer and times, and returns when the token expires.
func validate(authority attest.Authority, claims strictjson.Object, now func() time.Time) (time.Time, error) {
	if err := errors.Join(checkIssuer(authority, claims), checkTimes(claims, now)); err != nil {
		return time.Time{}, err
	}
	expires, err := only(claims, "exp").GetExpirationTime()
	if err != nil {
		return time.Time{}, err
	}
	return expires.Time, nil
}

func checkIssuer(authority attest.Authority, claims strictjson.Object) error {
	return jwt.NewValidator(jwt.WithIssuer(authority.Issuer())).Validate(only(claims, "iss"))
}

// checkTimes checks exp and nbf. iat only says when the token was made (RFC 7519 section
// 4.1.6). The nonce proves that the token is fresh.
func checkTimes(claims strictjson.Object, now func() time.Time) error {
	return jwt.NewValidator(
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now),
	).Validate(only(claims, "exp", "nbf"))
}

// only returns the claims with these names, as far as they are present.
func only(claims strictjson.Object, names ...string) jwt.MapClaims {
	found := jwt.MapClaims{}
	for _, name := range names {
		if value, ok := claims.Lookup(name); ok {
			found[name] = value
		}
	}
	return found
}

// complaint describes for the caller what is wrong with a token. golang-jwt joins its
// errors, and the first match in this order is returned.
func complaint(err error) string {
	for _, known := range []struct {
		err    error
		reason string
	}{
		{jwt.ErrTokenRequiredClaimMissing, "its token lacks a required claim"},
		{jwt.ErrTokenInvalidIssuer, "its token was issued by another authority"},
		{jwt.ErrTokenExpired, "its token has expired; check this machine's clock"},
		{jwt.ErrTokenNotValidYet, "its token is not valid yet; check this machine's clock"},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return "its token does not verify"
}

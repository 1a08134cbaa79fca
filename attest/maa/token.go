package maa

import (
	"context"
	"crypto/rsa"
	"errors"
	"slices"
	"time"

	"skr/internal/strictjson"

	"github.com/golang-jwt/jwt/v5"

	"skr/attest"
	"skr/internal/jose/jws"
	"skr/internal/secmem"
)

// leeway allows for clocks that differ: a token may be used from a minute
// before its nbf to a minute after its exp.
const leeway = time.Minute

const maxKeyID = 1024

// algorithms are those of RSA keys with PKCS #1 v1.5. MAA signs with RS256; that
// "none" and the keyed hashes are missing is what keeps a published key from
// being a secret.
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

// keyFinder finds the authority's key with an id, for an algorithm.
type keyFinder func(id, algorithm string) (*rsa.PublicKey, error)

// parseToken believes a token that the key found by its kid has signed.
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

// verifySignature asks for the key after the algorithm has been allowed, so that
// a forged token never waits for one. Of the header only alg and kid are read.
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

// checkTimes holds the token to exp and nbf. iat only tells when the token was made
// (RFC 7519 section 4.1.6); that it is fresh is for the nonce to show.
func checkTimes(claims strictjson.Object, now func() time.Time) error {
	return jwt.NewValidator(
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now),
	).Validate(only(claims, "exp", "nbf"))
}

// only are the claims of these names that there are.
func only(claims strictjson.Object, names ...string) jwt.MapClaims {
	found := jwt.MapClaims{}
	for _, name := range names {
		if value, ok := claims.Lookup(name); ok {
			found[name] = value
		}
	}
	return found
}

// complaint says for the caller what is wrong with a token. The order matters:
// golang-jwt joins its errors, and the nearest reason comes first.
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

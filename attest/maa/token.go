package maa

import (
	"context"
	"crypto/rsa"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/attest"
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
func (c *Client) verifyToken(ctx context.Context, authority attest.Authority, token string) (*attest.Result, error) {
	return parseToken(authority, token, c.now, func(id, algorithm string) (*rsa.PublicKey, error) {
		return c.keys.key(ctx, authority, id, algorithm)
	})
}

// keyFinder finds the authority's key with an id, for an algorithm.
type keyFinder func(id, algorithm string) (*rsa.PublicKey, error)

// parseToken believes a token that the key found by its kid has signed.
func parseToken(authority attest.Authority, token string, now func() time.Time, find keyFinder) (*attest.Result, error) {
	parser := jwt.NewParser(
		jwt.WithValidMethods(algorithms),
		jwt.WithIssuer(authority.Issuer()),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(now),
		jwt.WithStrictDecoding(),
		jwt.WithJSONNumber(),
	)
	registered := jwt.MapClaims{}
	var notFound error // golang-jwt would wrap it into an error of the token
	_, err := parser.ParseWithClaims(token, registered, func(t *jwt.Token) (any, error) {
		id, err := keyID(t)
		if err != nil {
			return nil, err
		}
		key, err := find(id, t.Method.Alg())
		notFound = err
		return key, err
	})
	if notFound != nil {
		return nil, notFound
	}
	if err != nil {
		return nil, untrusted(authority, complaint(err), err)
	}
	claims, err := readClaims(parser, token)
	if err != nil {
		return nil, untrusted(authority, "its token's claims are malformed", err)
	}
	expires, err := registered.GetExpirationTime()
	if err != nil || expires == nil {
		return nil, untrusted(authority, "its token does not say when it expires", err)
	}
	return &attest.Result{Token: secmem.NewText(token), Claims: claims, Expires: expires.Time}, nil
}

var errHeader = errors.New("maa: unusable token header")

// keyID is asked for after the algorithm has been allowed, so that a forged
// token costs no look-up. Of the header only alg and kid are read; a critical
// extension (RFC 7515 section 4.1.11) is not understood, whatever it is.
func keyID(token *jwt.Token) (string, error) {
	if _, found := token.Header["crit"]; found {
		return "", errHeader
	}
	id, _ := token.Header["kid"].(string)
	if id == "" || len(id) > maxKeyID {
		return "", errHeader
	}
	return id, nil
}

// readClaims decodes the payload again, more strictly than golang-jwt.
func readClaims(parser *jwt.Parser, token string) (attest.Claims, error) {
	segments := strings.Split(token, ".")
	payload, err := parser.DecodeSegment(segments[1])
	if err != nil {
		return attest.Claims{}, err
	}
	return attest.ParseClaims(payload)
}

// complaint says for the caller what is wrong with a token. The order matters:
// golang-jwt joins its errors, and the nearest reason comes first.
func complaint(err error) string {
	for _, known := range []struct {
		err    error
		reason string
	}{
		{errHeader, "its token's header names no signing key or a critical extension"},
		{jwt.ErrTokenMalformed, "its token is malformed"},
		{jwt.ErrTokenSignatureInvalid, "its token's signature does not verify"},
		{jwt.ErrTokenUnverifiable, "its token's signing algorithm or key cannot be used"},
		{jwt.ErrTokenRequiredClaimMissing, "its token lacks a required claim"},
		{jwt.ErrTokenInvalidIssuer, "its token was issued by another authority"},
		{jwt.ErrTokenExpired, "its token has expired; check this machine's clock"},
		{jwt.ErrTokenNotValidYet, "its token is not valid yet; check this machine's clock"},
		{jwt.ErrTokenUsedBeforeIssued, "its token was issued in the future; check this machine's clock"},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return "its token does not verify"
}

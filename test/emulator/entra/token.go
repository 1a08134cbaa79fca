package entra

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is the expires_in of real answers, 3599. For managed identities
// Azure answers about a day; the emulator uses the shorter life for both.
const tokenLife = 3599 * time.Second

// AccessToken is a token with its lifetime, as an endpoint returns them.
type AccessToken struct {
	Value     string
	NotBefore time.Time
	Expires   time.Time
}

// ErrUnknownResource means that the directory issues no tokens for the
// audience.
var ErrUnknownResource = errors.New("entra: the resource was not found in the tenant")

// Issue returns an access token for p with the claims of a version 1.0 token
// for an application.
func (d *Directory) Issue(resource string, p Principal) (AccessToken, error) {
	if !d.hasResource(resource) {
		return AccessToken{}, ErrUnknownResource
	}
	now := d.config.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud":      resource,
		"iss":      d.Issuer(),
		"iat":      now.Unix(),
		"nbf":      now.Unix(),
		"exp":      now.Add(tokenLife).Unix(),
		"appid":    p.AppID,
		"appidacr": "2",
		"idp":      d.Issuer(),
		"idtyp":    "app",
		"oid":      p.ObjectID,
		"sub":      p.ObjectID,
		"tid":      d.config.Tenant,
		"uti":      opaqueID(),
		"ver":      "1.0",
	})
	token.Header["kid"] = d.kid
	token.Header["x5t"] = d.kid
	value, err := token.SignedString(d.key)
	if err != nil {
		return AccessToken{}, fmt.Errorf("entra: signing an access token: %w", err)
	}
	return AccessToken{value, now, now.Add(tokenLife)}, nil
}

// accessClaims are the claims that a resource checks.
type accessClaims struct {
	jwt.RegisteredClaims
	AppID    string `json:"appid"`
	ObjectID string `json:"oid"`
	Tenant   string `json:"tid"`
}

// VerifyAccessToken checks signature, issuer, times and audience as a resource
// of the tenant does. The audience may have a trailing slash.
func (d *Directory) VerifyAccessToken(token, resource string) (Principal, error) {
	var claims accessClaims
	_, err := d.parser(jwt.WithIssuer(d.Issuer())).ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) {
		return &d.key.PublicKey, nil
	})
	if err != nil {
		return Principal{}, fmt.Errorf("entra: verifying an access token: %w", err)
	}
	if len(claims.Audience) != 1 || !sameResource(claims.Audience[0], resource) {
		return Principal{}, fmt.Errorf("entra: the access token is for %q, not for %q", claims.Audience, resource)
	}
	return Principal{claims.AppID, claims.ObjectID}, nil
}

func sameResource(a, b string) bool {
	return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}

func (d *Directory) parser(options ...jwt.ParserOption) *jwt.Parser {
	return jwt.NewParser(append([]jwt.ParserOption{
		jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(d.config.Now),
	}, options...)...)
}

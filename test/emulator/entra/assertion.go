package entra

import (
	"crypto/sha1" // a certificate's identifier, RFC 7515 section 4.1.7
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// verifyAssertion checks a client assertion. The application itself issues
// those that its certificate's key signs; all others must be of the federated
// credential.
func (d *Directory) verifyAssertion(r *http.Request) error {
	assertion := r.PostForm.Get("client_assertion")
	var claims jwt.RegisteredClaims
	if _, _, err := d.parser().ParseUnverified(assertion, &claims); err != nil {
		return err
	}
	if strings.EqualFold(claims.Issuer, d.config.Workload.AppID) {
		return d.verifyCertificate(assertion, "https://"+r.Host+r.URL.Path)
	}
	f := d.config.Federation
	if f.Key == nil {
		return errors.New("entra: the application has no federated credential")
	}
	_, err := d.parser(
		jwt.WithIssuer(f.Issuer),
		jwt.WithSubject(f.Subject),
		jwt.WithAudience(f.Audience),
	).Parse(assertion, func(*jwt.Token) (any, error) { return f.Key, nil })
	return err
}

// verifyCertificate checks an assertion that the application signed for the
// token endpoint: Microsoft identity platform, "Application authentication
// certificate credentials".
func (d *Directory) verifyCertificate(assertion, endpoint string) error {
	if d.config.Certificate == nil {
		return jwt.ErrTokenSignatureInvalid
	}
	certificate, err := d.config.Certificate()
	if err != nil {
		return err
	}
	_, err = d.parser(
		jwt.WithValidMethods([]string{"RS256", "PS256"}),
		jwt.WithSubject(d.config.Workload.AppID),
		jwt.WithAudience(endpoint),
	).Parse(assertion, func(token *jwt.Token) (any, error) {
		if !identifies(token.Header, certificate) {
			return nil, jwt.ErrTokenSignatureInvalid
		}
		return certificate.PublicKey, nil
	})
	return err
}

// identifies reports whether a header has the hash of the certificate.
func identifies(header map[string]any, certificate *x509.Certificate) bool {
	short, long := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw)
	return isHash(header["x5t"], short[:]) || isHash(header["x5t#S256"], long[:])
}

// inURLs replaces the characters of base64 that base64url does not have.
var inURLs = strings.NewReplacer("+", "-", "/", "_", "=", "")

// isHash accepts base64 besides base64url, and padding. MSAL for Go writes the one, MSAL for Python
// the other.
func isHash(value any, hash []byte) bool {
	text, _ := value.(string)
	return inURLs.Replace(text) == base64.RawURLEncoding.EncodeToString(hash)
}

package maa

import (
	"crypto/sha1" // the service's identifier of a certificate
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// certificates are the policy management certificates of an instance. Only an isolated instance has
// any, and it accepts only policies that one of them signed.
type certificates struct {
	mu   sync.Mutex
	list []*x509.Certificate
}

func (c *certificates) all() []*x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// trust returns an error if the instance is isolated and the signer is not one of its certificates.
func (c *certificates) trust(signer *x509.Certificate) error {
	all := c.all()
	if len(all) > 0 && (signer == nil || !slices.ContainsFunc(all, signer.Equal)) {
		return invalid("The instance is isolated; sign the token with the key of a policy management certificate.")
	}
	return nil
}

// signers are the algorithms of signed tokens (RFC 7518 section 3.1), by name. Azure's client for
// Python has names of its own (azure-sdk-for-python, azure-security-attestation, AttestationToken).
var signers = map[string]jwt.SigningMethod{
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": jwt.SigningMethodPS256, "PS384": jwt.SigningMethodPS384, "PS512": jwt.SigningMethodPS512,
	"ES256": jwt.SigningMethodES256, "ES384": jwt.SigningMethodES384, "ES512": jwt.SigningMethodES512,
	"RSA256": jwt.SigningMethodRS256, "ECDH256": jwt.SigningMethodES256,
}

// parseSigned verifies a token of three parts by the certificate in its header. Whether the instance
// trusts the certificate is decided elsewhere. The token has no claims, and may have no body.
func parseSigned(parts []string) (signer *x509.Certificate, body []byte, err error) {
	var header map[string]any
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(head, &header) != nil {
		return nil, nil, invalid("The policy token's header is not JSON in base64url.")
	}
	if key, found := header["jwk"].(map[string]any); found && header["x5c"] == nil {
		header["x5c"] = key["x5c"] // that client's place
	}
	if signer, err = certificateOf(header); err != nil {
		return nil, nil, err
	}
	name, _ := header["alg"].(string)
	algorithm, known := signers[name]
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !known || algorithm.Verify(parts[0]+"."+parts[1], signature, signer.PublicKey) != nil {
		return nil, nil, invalid("The policy token's signature is not that of the certificate in its header.")
	}
	if body, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		return nil, nil, invalid("The policy token's body is not base64url.")
	}
	return signer, body, nil
}

// certificateOf returns the first certificate of x5c: RFC 7515 section 4.1.6, RFC 7517 section 4.7.
func certificateOf(members map[string]any) (*x509.Certificate, error) {
	chain, _ := members["x5c"].([]any)
	if len(chain) == 0 {
		return nil, invalid("There is no x5c.")
	}
	text, _ := chain[0].(string)
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, invalid("x5c is not base64.")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, invalid("x5c is not a certificate.")
	}
	return certificate, nil
}

// webKey describes a certificate as the service does (Azure REST API specification, attestation,
// JSONWebKey).
func webKey(c *x509.Certificate) map[string]any {
	kind := map[x509.PublicKeyAlgorithm]string{x509.RSA: "RSA", x509.ECDSA: "EC"}[c.PublicKeyAlgorithm]
	return map[string]any{"kty": kind, "x5c": []string{base64.StdEncoding.EncodeToString(c.Raw)}}
}

func (i *Instance) getCertificates(*http.Request) (map[string]any, error) {
	keys := []any{}
	for _, certificate := range i.certificates.all() {
		keys = append(keys, webKey(certificate))
	}
	return map[string]any{"x-ms-policy-certificates": map[string]any{"keys": keys}}, nil
}

func (i *Instance) addCertificate(r *http.Request) (map[string]any, error) {
	return i.changeCertificates(r, "IsPresent", func(list []*x509.Certificate, c *x509.Certificate) []*x509.Certificate {
		return append(list, c)
	})
}

func (i *Instance) removeCertificate(r *http.Request) (map[string]any, error) {
	return i.changeCertificates(r, "IsAbsent", func(list []*x509.Certificate, _ *x509.Certificate) []*x509.Certificate { return list })
}

// changeCertificates changes the list without the certificate in a token, which one of the
// certificates must sign.
func (i *Instance) changeCertificates(
	r *http.Request, result string, change func([]*x509.Certificate, *x509.Certificate) []*x509.Certificate,
) (map[string]any, error) {
	if len(i.certificates.all()) == 0 {
		return nil, refuse(codeInvalidOperation, "The instance is not isolated, so it has no policy management certificates.")
	}
	token, err := parsePolicyToken(r)
	if err != nil {
		return nil, err
	}
	if err := i.certificates.trust(token.signer); err != nil {
		return nil, err
	}
	var body struct {
		PolicyCertificate map[string]any `json:"policyCertificate"`
	}
	if err := json.Unmarshal(token.body, &body); err != nil {
		return nil, invalid("The token's body is not a JSON object with policyCertificate.")
	}
	certificate, err := certificateOf(body.PolicyCertificate)
	if err != nil {
		return nil, err
	}
	i.certificates.mu.Lock()
	defer i.certificates.mu.Unlock()
	i.certificates.list = change(slices.DeleteFunc(slices.Clone(i.certificates.list), certificate.Equal), certificate)
	sum := sha1.Sum(certificate.Raw)
	return map[string]any{"x-ms-certificate-thumbprint": hex.EncodeToString(sum[:]), "x-ms-policycertificates-result": result}, nil
}

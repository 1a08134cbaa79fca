package maa

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// attestationTypes are the kinds of evidence that have a policy (Azure REST API specification,
// attestation, AttestationType; TdxVm since 2025-06-01), by their lower-case names.
var attestationTypes = map[string]bool{
	"sgxenclave": true, "openenclave": true, "tpm": true, "sevsnpvm": true, "tdxvm": true, "azureguest": true,
}

const (
	policyTokenLife = time.Hour
	maxPolicy       = 64 << 10
)

// policies are the policies of an instance by lower-case attestation type. A type without an entry
// has the initial policy.
type policies struct {
	mu      sync.Mutex
	initial policy
	changed map[string]policy
}

func (p *policies) of(kind string) policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	if changed, found := p.changed[kind]; found {
		return changed
	}
	return p.initial
}

// set changes the policy of a type; nil restores the initial one.
func (p *policies) set(kind string, to *policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.changed, kind)
	if to != nil {
		p.changed[kind] = *to
	}
}

// managedType wraps the operations on the policy of a type, which must be known.
func (i *Instance) managedType(f func(kind string, r *http.Request) (map[string]any, error)) func(*http.Request) (any, error) {
	return i.managed(func(r *http.Request) (map[string]any, error) {
		kind := strings.TrimSuffix(r.PathValue("type"), ":reset")
		if !attestationTypes[kind] {
			return nil, invalid("The attestation type %.30q is not known.", kind)
		}
		return f(kind, r)
	})
}

// managed wraps the operations that need an access token.
func (i *Instance) managed(f func(*http.Request) (map[string]any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !found || i.config.Authorize == nil || i.config.Authorize(token) != nil {
			return nil, &problem{http.StatusUnauthorized, codeUnauthorized, "The request is not authorized."}
		}
		if err := checkVersion(r); err != nil {
			return nil, err
		}
		claims, err := f(r)
		if err != nil {
			return nil, err
		}
		return i.policyAnswer(claims)
	}
}

// policyAnswer signs the claims as the service signs a PolicyResult (Azure REST API specification,
// attestation, PolicyResponse).
func (i *Instance) policyAnswer(claims map[string]any) (any, error) {
	now := i.config.Now()
	claims["iss"], claims["iat"], claims["nbf"] = i.config.Issuer, now.Unix(), now.Unix()
	claims["exp"] = now.Add(policyTokenLife).Unix()
	token, err := i.issue(claims, "")
	return map[string]string{"token": token}, err
}

func (i *Instance) getPolicy(kind string, _ *http.Request) (map[string]any, error) {
	of := i.policies.of(kind)
	if of.token != "" {
		return map[string]any{"x-ms-policy": of.token}, nil
	}
	stored, err := unsecured(map[string]string{"AttestationPolicy": base64.RawURLEncoding.EncodeToString([]byte(of.text))})
	return map[string]any{"x-ms-policy": stored}, err
}

func (i *Instance) setPolicy(kind string, r *http.Request) (map[string]any, error) {
	token, err := i.trusted(r)
	if err != nil {
		return nil, err
	}
	var stored struct{ AttestationPolicy string }
	if err := json.Unmarshal(token.body, &stored); err != nil {
		return nil, invalid("The policy token's body is not a JSON object with AttestationPolicy.")
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(stored.AttestationPolicy, "="))
	if err != nil {
		return nil, invalid("AttestationPolicy is not base64url.")
	}
	rules, err := parsePolicy(string(text))
	if err != nil {
		return nil, invalid("%v", err)
	}
	rules.token = token.text
	i.policies.set(kind, &rules)
	return policyResult("Updated", token), nil
}

func (i *Instance) resetPolicy(kind string, r *http.Request) (map[string]any, error) {
	token, err := i.trusted(r)
	if err != nil {
		return nil, err
	}
	i.policies.set(kind, nil)
	return policyResult("Removed", token), nil
}

func policyResult(result string, token policyToken) map[string]any {
	sum := sha256.Sum256([]byte(token.text))
	claims := map[string]any{"x-ms-policy-result": result, "x-ms-policy-token-hash": base64.RawURLEncoding.EncodeToString(sum[:])}
	if token.signer != nil {
		claims["x-ms-policy-signer"] = webKey(token.signer)
	}
	return claims
}

// policyToken is a JWS with a policy or a certificate.
type policyToken struct {
	text   string
	body   []byte
	signer *x509.Certificate // nil if it is unsecured
}

// trusted returns the token of a request that may change a policy.
func (i *Instance) trusted(r *http.Request) (policyToken, error) {
	token, err := parsePolicyToken(r)
	if err != nil {
		return policyToken{}, err
	}
	return token, i.certificates.trust(token.signer)
}

// unsecured returns an unsecured JWS (RFC 7515 appendix A.5), which carries policies that are not
// signed.
func unsecured(body any) (string, error) {
	payload, err := marshal(body)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", nil
}

// parsePolicyToken returns the token of a request, which may be signed.
func parsePolicyToken(r *http.Request) (policyToken, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxPolicy+1))
	if err != nil || len(text) > maxPolicy {
		return policyToken{}, invalid("The body is not a policy token of at most %d bytes.", maxPolicy)
	}
	token := policyToken{text: strings.Trim(strings.TrimSpace(string(text)), `"`)}
	parts := strings.Split(token.text, ".")
	if len(parts) != 3 {
		return policyToken{}, invalid("The body is not a JWS.")
	}
	if parts[2] != "" {
		token.signer, token.body, err = parseSigned(parts)
		return token, err
	}
	var header struct{ Alg string }
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(head, &header) != nil || header.Alg != "none" {
		return policyToken{}, invalid("The policy token's header is not that of an unsecured JWS.")
	}
	if token.body, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		return policyToken{}, invalid("The policy token's body is not base64url.")
	}
	return token, nil
}

package maa

import (
	"crypto/sha256"
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

// managed wraps the operations on policies, which need an access token and a known type.
func (i *Instance) managed(f func(kind string, r *http.Request) (map[string]any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !found || i.config.Authorize == nil || i.config.Authorize(token) != nil {
			return nil, &problem{http.StatusUnauthorized, codeUnauthorized, "The request is not authorized."}
		}
		if err := checkVersion(r); err != nil {
			return nil, err
		}
		kind := strings.TrimSuffix(r.PathValue("type"), ":reset")
		if !attestationTypes[kind] {
			return nil, invalid("The attestation type %.30q is not known.", kind)
		}
		claims, err := f(kind, r)
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
	stored, err := unsecured(map[string]string{"AttestationPolicy": base64.RawURLEncoding.EncodeToString([]byte(i.policies.of(kind).text))})
	return map[string]any{"x-ms-policy": stored}, err
}

func (i *Instance) setPolicy(kind string, r *http.Request) (map[string]any, error) {
	token, body, err := parseUnsecured(r)
	if err != nil {
		return nil, err
	}
	var stored struct{ AttestationPolicy string }
	if err := json.Unmarshal(body, &stored); err != nil {
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
	i.policies.set(kind, &rules)
	return policyResult("Updated", token), nil
}

func (i *Instance) resetPolicy(kind string, r *http.Request) (map[string]any, error) {
	token, _, err := parseUnsecured(r)
	if err != nil {
		return nil, err
	}
	i.policies.set(kind, nil)
	return policyResult("Removed", token), nil
}

func policyResult(result, token string) map[string]any {
	sum := sha256.Sum256([]byte(token))
	return map[string]any{"x-ms-policy-result": result, "x-ms-policy-token-hash": base64.RawURLEncoding.EncodeToString(sum[:])}
}

// unsecured returns an unsecured JWS (RFC 7515 appendix A.5), which carries policies of instances
// whose policies are not signed.
func unsecured(body any) (string, error) {
	payload, err := marshal(body)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", nil
}

// parseUnsecured returns the token and its body. Instances here trust callers with an access token,
// so they refuse policies with a signature.
func parseUnsecured(r *http.Request) (token string, body []byte, err error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxPolicy+1))
	if err != nil || len(text) > maxPolicy {
		return "", nil, invalid("The body is not a policy token of at most %d bytes.", maxPolicy)
	}
	token = strings.Trim(strings.TrimSpace(string(text)), `"`)
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] != "" {
		return "", nil, invalid("The body is not an unsecured JWS; the emulator has no policy signing certificates.")
	}
	var header struct{ Alg string }
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(head, &header) != nil || header.Alg != "none" {
		return "", nil, invalid("The policy token's header is not that of an unsecured JWS.")
	}
	if body, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		return "", nil, invalid("The policy token's body is not base64url.")
	}
	return token, body, nil
}

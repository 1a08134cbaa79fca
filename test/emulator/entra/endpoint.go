package entra

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	maxForm       = 64 << 10
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2
)

func (d *Directory) route() {
	d.mux.HandleFunc("GET /common/discovery/instance", func(w http.ResponseWriter, r *http.Request) {
		answer, err := d.instances(r)
		d.write(w, answer, err)
	})
	for _, all := range []string{"common", "organizations"} {
		d.mux.HandleFunc("GET /"+all+"/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
			d.write(w, configuration(r.Host, all, "{tenantid}"), nil)
		})
	}
	d.mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", d.inTenant(d.discovery))
	d.mux.HandleFunc("GET /{tenant}/.well-known/openid-configuration", d.inTenant(d.discovery))
	d.mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", d.inTenant(d.keys))
	d.mux.HandleFunc("GET /{tenant}/discovery/keys", d.inTenant(d.keys))
	d.mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", d.inTenant(d.token))
}

// ServeHTTP answers for every host name of the login service.
func (d *Directory) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.mux.ServeHTTP(w, r) }

// problem is an error answer of the token endpoint.
type problem struct {
	status int
	code   string // RFC 6749 section 5.2
	aadsts int
	text   string
}

func (p *problem) Error() string { return fmt.Sprintf("AADSTS%d: %s", p.aadsts, p.text) }

func (d *Directory) inTenant(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var answer any
		var err error = &problem{http.StatusBadRequest, "invalid_request", 90002, "Tenant '" + r.PathValue("tenant") + "' not found."}
		if strings.EqualFold(r.PathValue("tenant"), d.config.Tenant) {
			answer, err = f(r)
		}
		d.write(w, answer, err)
	}
}

func (d *Directory) write(w http.ResponseWriter, answer any, err error) {
	status := http.StatusOK
	if err != nil {
		status, answer = d.describe(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// describe returns the status and the body of an error: Microsoft identity
// platform, "Error response example" of the client credentials flow.
func (d *Directory) describe(err error) (int, map[string]any) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{http.StatusInternalServerError, "server_error", 90033, err.Error()}
	}
	trace, correlation := GUID(), GUID()
	stamp := d.config.Now().UTC().Format("2006-01-02 15:04:05Z")
	return p.status, map[string]any{
		"error": p.code,
		"error_description": fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s",
			p.Error(), trace, correlation, stamp),
		"error_codes":    []int{p.aadsts},
		"timestamp":      stamp,
		"trace_id":       trace,
		"correlation_id": correlation,
	}
}

func (d *Directory) discovery(r *http.Request) (any, error) {
	return configuration(r.Host, d.config.Tenant, d.config.Tenant), nil
}

// configuration uses the requested host name in every URL. Any tenant of an issuer, as for
// "common", is "{tenantid}" (Microsoft identity platform, "OpenID Connect").
func configuration(host, tenant, issuer string) map[string]any {
	base := "https://" + host + "/" + tenant
	return map[string]any{
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"issuer":                                "https://" + host + "/" + issuer + "/v2.0",
		"jwks_uri":                              base + "/discovery/v2.0/keys",
		"response_types_supported":              []string{"code", "id_token"},
		"subject_types_supported":               []string{"pairwise"},
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
	}
}

// instances answers the instance discovery of MSAL: the names of this login service
// (AzureAD/microsoft-authentication-library-for-go, apps/internal/oauth/ops/authority). A caller may
// ask for this host only.
func (d *Directory) instances(r *http.Request) (any, error) {
	wanted, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || !strings.EqualFold(wanted.Host, r.Host) {
		return nil, &problem{http.StatusBadRequest, "invalid_instance", 50049, "Unknown or invalid instance."}
	}
	name := r.Host
	return map[string]any{
		"tenant_discovery_endpoint": "https://" + name + "/" + d.config.Tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []any{map[string]any{
			"preferred_network": name, "preferred_cache": name, "aliases": []string{name},
		}},
	}, nil
}

func (d *Directory) keys(*http.Request) (any, error) {
	public := d.key.PublicKey
	return map[string]any{"keys": []any{map[string]any{
		"kty": "RSA",
		"use": "sig",
		"kid": d.kid,
		"x5t": d.kid,
		"n":   base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
	}}}, nil
}

func (d *Directory) token(r *http.Request) (any, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, &problem{http.StatusBadRequest, "invalid_request", 900144, "The request body cannot be read."}
	}
	if err := d.authenticate(r); err != nil {
		return nil, err
	}
	resource, err := resourceOf(r.PostForm.Get("scope"))
	if err != nil {
		return nil, err
	}
	token, err := d.Issue(resource, d.config.Workload)
	if errors.Is(err, ErrUnknownResource) {
		return nil, &problem{http.StatusBadRequest, "invalid_resource", 500011, fmt.Sprintf("The resource principal named %s was not found in the tenant.", resource)}
	}
	if err != nil {
		return nil, err
	}
	seconds := int(tokenLife.Seconds())
	return map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token.Value,
	}, nil
}

func (d *Directory) authenticate(r *http.Request) error {
	secret := r.PostForm.Get("client_secret")
	needed := []string{"grant_type", "client_id", "scope"}
	if secret == "" {
		needed = append(needed, "client_assertion_type", "client_assertion")
	}
	for _, name := range needed {
		if r.PostForm.Get(name) == "" {
			return &problem{http.StatusBadRequest, "invalid_request", 900144, fmt.Sprintf("The request body must contain the following parameter: '%s'.", name)}
		}
	}
	if grant := r.PostForm.Get("grant_type"); grant != "client_credentials" {
		return &problem{http.StatusBadRequest, "unsupported_grant_type", 70003, fmt.Sprintf("The app requested an unsupported grant type '%s'.", grant)}
	}
	if id := r.PostForm.Get("client_id"); !strings.EqualFold(id, d.config.Workload.AppID) {
		return &problem{http.StatusBadRequest, "unauthorized_client", 700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory.", id)}
	}
	if secret != "" {
		return d.checkSecret(secret)
	}
	if r.PostForm.Get("client_assertion_type") != assertionType {
		return &problem{http.StatusUnauthorized, "invalid_client", 70025, "The client assertion type is not supported."}
	}
	if err := d.verifyAssertion(r); err != nil {
		return refuseAssertion(err)
	}
	return nil
}

func (d *Directory) checkSecret(secret string) error {
	if d.config.Secret == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(d.config.Secret)) != 1 {
		return &problem{http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client secret provided."}
	}
	return nil
}

// refuseAssertion returns the codes with which an operator finds the fault in a
// federated credential. The texts are the emulator's own.
func refuseAssertion(err error) error {
	code, text := 50027, "JWT token is invalid or malformed."
	switch {
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		code, text = 700211, "No matching federated identity record found for presented assertion issuer."
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		code, text = 700212, "No matching federated identity record found for presented assertion audience."
	case errors.Is(err, jwt.ErrTokenInvalidSubject):
		code, text = 700213, "No matching federated identity record found for presented assertion subject."
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet):
		code, text = 700024, "Client assertion is not within its valid time range."
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		code, text = 700027, "The certificate with identifier used to sign the client assertion is not registered on application."
	}
	return &problem{http.StatusUnauthorized, "invalid_client", code, text}
}

// resourceOf returns the scope that ends in /.default, without that suffix. It
// ignores OpenID scopes.
func resourceOf(scope string) (string, error) {
	for word := range strings.FieldsSeq(scope) {
		if resource, found := strings.CutSuffix(word, "/.default"); found {
			return resource, nil
		}
	}
	return "", &problem{http.StatusBadRequest, "invalid_scope", 1002012,
		fmt.Sprintf("The provided value for scope %s is not valid. "+
			"Client credential flows must have a scope value with /.default suffixed to the resource identifier.", scope)}
}

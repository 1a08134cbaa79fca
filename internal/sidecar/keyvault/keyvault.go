// Package keyvault answers the REST API of Azure Key Vault for keys in use, so that the Azure
// SDKs' CryptographyClient and what is built on it work with keys that stay in the sidecar
// (Azure REST API specification, Key Vault 7.4: GetKey, encrypt, decrypt, sign, verify,
// wrapKey, unwrapKey).
//
//	identity, err := keyvault.NewIdentity(dir, names, time.Now())
//	handler := keyvault.New(keyvault.Config{Local: local, Identity: identity})
//	err = local.ServeAs(ctx, tls.NewListener(socket, identity.TLS()), handler)
//
// A name of the API is an alias of the configuration. The package is a dialect: it translates
// each request to a route of package api, which decides and answers. It holds no key.
package keyvault

import (
	"net/http"
	"strconv"
	"time"

	"skr/internal/sidecar/dialect"
)

// Config of a Handler.
type Config struct {
	// Local answers the routes of package api.
	Local http.Handler
	// Identity has the certificate's names and the token that callers send.
	Identity *Identity
}

// Handler answers requests of Key Vault's clients. It is safe for concurrent use.
type Handler struct{ config Config }

// New returns a Handler.
func New(c Config) *Handler { return &Handler{c} }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Ms-Keyvault-Service-Version", serviceVersion)
	if id := r.Header.Get("X-Ms-Client-Request-Id"); plainID(id) {
		w.Header().Set("X-Ms-Client-Request-Id", id)
	}
	answer := h.answer(w, r)
	defer clear(answer.body)
	if answer.challenge != "" {
		w.Header().Set("Www-Authenticate", answer.challenge)
	}
	for _, name := range []string{"X-Request-Id", "Retry-After"} {
		if value := answer.header.Get(name); value != "" {
			w.Header().Set(azureName(name), value)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer.body)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(ioTimeout)) // a test's recorder has none
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // fails if the caller is gone
}

// serviceVersion is told by every answer of the vault.
const serviceVersion = "1.9.0.0"

// azureName returns the vault's name of a header.
func azureName(name string) string {
	if name == "X-Request-Id" {
		return "X-Ms-Request-Id"
	}
	return name
}

// answer is a whole answer. Its body is overwritten after it was sent.
type answer struct {
	status    int
	header    http.Header
	challenge string
	body      []byte
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) answer {
	if !h.config.Identity.names(r.Host) {
		return fault(http.StatusForbidden, "Forbidden", "the certificate of this listener does not have the requested host; add it to crypto_names")
	}
	if r.URL.Path == managedPath {
		return h.config.Identity.managed(r, time.Now())
	}
	if challenge, ok := h.config.Identity.admit(r); !ok {
		refused := fault(http.StatusUnauthorized, "Unauthorized", "send the token in the file token of crypto_dir, or that of an access rule, as a bearer token")
		refused.challenge = challenge
		return refused
	}
	target, ok := parseTarget(r.Method, r.URL.EscapedPath())
	if !ok {
		return fault(http.StatusNotFound, "NotFound", "this listener answers GET /keys/{alias} and the operations with a key; it lists and changes nothing")
	}
	body, err := receive(w, r)
	defer clear(body)
	if err != nil {
		return fault(http.StatusBadRequest, "BadParameter", err.Error())
	}
	request, err := target.request(body)
	defer clear(request)
	if err != nil {
		return fault(http.StatusBadRequest, "BadParameter", err.Error())
	}
	return target.translate(h.ask(r, target.route, request), r.Host)
}

// ask has the local server answer a request.
func (h *Handler) ask(r *http.Request, route string, body []byte) *dialect.Answer {
	q := dialect.Question{Method: http.MethodPost, Route: route, Host: "localhost", Body: body}
	if id := r.Header.Get("X-Ms-Client-Request-Id"); plainID(id) {
		q.RequestID = id
	}
	return dialect.Ask(h.config.Local, r, q)
}

// plainID reports whether an identifier may be repeated in an answer and in the log.
func plainID(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for _, c := range text {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

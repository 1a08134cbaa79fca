// Package coco answers the REST API that applications of Confidential Containers find at
// 127.0.0.1:8006, so that they run beside this sidecar as they are
// (confidential-containers/guest-components, api-server-rest: router.rs, client/aa.rs, commit
// 8246e5e).
//
//	handler := coco.New(coco.Config{Local: local, Resources: true, Version: version})
//	err := local.ServeAs(ctx, listener, nil, handler)
//
//	GET  /cdh/resource/{repository}/{type}/{tag}   a [Resource]: a key, or what it opens
//	GET  /aa/evidence?runtime_data=…               evidence, see [Evidence]
//	GET  /aa/additional-evidence?runtime_data=…    empty: there are no further devices
//	GET  /aa/token?token_type=maa                  a token of Azure's attestation service
//	POST /aa/aael                                  "not enabled": no register is extended
//	GET  /info                                     the version and the name of the hardware
//
// The package is a dialect: it translates each request to a route of the local server, which
// decides and answers. Status codes, texts and the missing Content-Type of errors are those of
// guest-components. A caller that the configuration refuses gets 403, which guest-components
// has for callers from other machines.
package coco

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"skr/api"
	"skr/internal/sidecar/dialect"
)

// The routes of the local server that the dialect needs. Rules of the access section name all
// but RouteInfo.
const (
	RouteResource   = "/cdh/resource"
	RouteEvidence   = "/aa/evidence"
	RouteAdditional = "/aa/additional-evidence"
	RouteToken      = "/aa/token"
	RouteAAEL       = "/aa/aael"
	RouteInfo       = "/info"
)

// Routes returns the routes that access rules may name.
func Routes() []string {
	return []string{RouteResource, RouteEvidence, RouteAdditional, RouteToken, RouteAAEL}
}

// Config of a Handler.
type Config struct {
	// Local answers the routes of this package.
	Local http.Handler
	// Resources reports whether the configuration has any. Without, /cdh is not enabled.
	Resources bool
	// Trusted returns an error if a request could be of a web page.
	Trusted func(*http.Request) error
}

// Handler answers requests of applications. It is safe for concurrent use.
type Handler struct{ config Config }

// New returns a Handler.
func New(c Config) *Handler { return &Handler{c} }

// ioTimeout bounds how long a client takes to read an answer.
const ioTimeout = 10 * time.Second

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := h.answer(w, r)
	defer clear(answer.body)
	header := w.Header()
	for _, name := range []string{"X-Request-Id", "Retry-After", api.HeaderKeyID, api.HeaderFallback, api.HeaderCache, api.HeaderAge} {
		if value := answer.header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	header["Content-Type"] = nil // net/http would guess one
	if answer.media != "" {
		header.Set("Content-Type", answer.media)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(answer.body)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(ioTimeout)) // a test's recorder has none
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // fails if the caller is gone
}

// answer is a whole answer. Its body is overwritten after it was sent.
type answer struct {
	status int
	media  string // "" sends none
	header http.Header
	body   []byte
}

func text(status int, body string) answer { return answer{status: status, body: []byte(body)} }

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) answer {
	if err := h.config.Trusted(r); err != nil {
		return text(http.StatusForbidden, "Forbidden")
	}
	t, refused := h.parse(w, r)
	if refused != nil {
		return *refused
	}
	defer clear(t.body)
	return t.translate(h.ask(r, t))
}

// ask has the local server answer.
func (h *Handler) ask(r *http.Request, t target) *dialect.Answer {
	return dialect.Ask(h.config.Local, r, dialect.Question{
		Method: t.method, Route: t.route, Host: r.Host, RequestID: r.Header.Get("X-Request-Id"), Body: t.body,
	})
}

// translate returns the answer of guest-components for the local one.
func (t target) translate(got *dialect.Answer) answer {
	if got.Status == http.StatusOK {
		return answer{status: http.StatusOK, media: t.media, header: got.Header(), body: got.Body}
	}
	var e api.Error
	if json.Unmarshal(got.Body, &e) != nil {
		e.Message = "the sidecar gave no answer"
	}
	status := http.StatusInternalServerError
	if e.Code == api.CallerNotAllowed || e.Code == api.EndpointNotAllowed {
		status = http.StatusForbidden
	}
	refused := text(status, t.about+e.Message)
	refused.header = got.Header()
	return refused
}

// Package dialect has the local server answer requests that came in another protocol, such as Key
// Vault's. The server decides as for its own clients: a dialect translates, and permits nothing.
//
//	answer := dialect.Ask(local, r, dialect.Question{Method: http.MethodPost, Route: api.RouteSign, Body: body})
package dialect

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
)

// Question is a request to the local server.
type Question struct {
	Method, Route string
	// Host is the Host header.
	Host string
	// RequestID is the X-Request-Id header; "" sends none.
	RequestID string
	Body      []byte
}

// passed are the headers of the other protocol by which the server knows callers, and web pages.
var passed = []string{"Authorization", "Origin", "Sec-Fetch-Site", "Traceparent"}

// Answer is what the local server answered. Status is 0 if it did not.
type Answer struct {
	Status int
	Body   []byte
	header http.Header
}

// Ask has the local server answer a question. The caller is that of r.
func Ask(local http.Handler, r *http.Request, q Question) *Answer {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	got := &Answer{header: http.Header{}}
	asked, err := http.NewRequestWithContext(ctx, q.Method, q.Route, bytes.NewReader(q.Body))
	if err != nil {
		return got
	}
	asked.Host, asked.RemoteAddr = q.Host, r.RemoteAddr
	for _, name := range passed {
		if values, sent := r.Header[name]; sent {
			asked.Header[name] = values
		}
	}
	if q.RequestID != "" {
		asked.Header.Set("X-Request-Id", q.RequestID)
	}
	local.ServeHTTP(got, asked)
	return got
}

// Header implements [http.ResponseWriter].
func (a *Answer) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter].
func (a *Answer) WriteHeader(status int) { a.Status = cmp.Or(a.Status, status) }

// Write implements [http.ResponseWriter].
func (a *Answer) Write(text []byte) (int, error) {
	a.Body = append(a.Body, text...)
	return len(text), nil
}

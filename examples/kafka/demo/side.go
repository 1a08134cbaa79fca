package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// Paths of the two consumers below the page that shows both.
const (
	mayPath    = "/may/"
	mayNotPath = "/may-not/"
)

//go:embed side
var side embed.FS

// sidePolicy lets the page frame the two consumers, which it serves under its
// own address.
const sidePolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveSide shows two consumers side by side until ctx ends. It closes the
// listener.
func serveSide(ctx context.Context, listener net.Listener, may, mayNot string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", sidePolicy)
		http.ServeFileFS(w, r, side, "side/index.html")
	})
	mux.HandleFunc("GET /side.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, side, "side/side.css") })
	mux.Handle(mayPath, framed(mayPath, may))
	mux.Handle(mayNotPath, framed(mayNotPath, mayNot))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() }) // event streams do not end by themselves
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the page of both consumers: %w", err)
	}
	return ctx.Err()
}

// framed forwards requests to a consumer. A consumer's page forbids framing;
// this page has the same origin, so framed allows it here.
func framed(path, address string) http.Handler {
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1, // flush each event at once
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
		},
		ModifyResponse: func(r *http.Response) error {
			policy := r.Header.Get("Content-Security-Policy")
			r.Header.Set("Content-Security-Policy", strings.Replace(policy, "frame-ancestors 'none'", "frame-ancestors 'self'", 1))
			return nil
		},
	}
	return http.StripPrefix(strings.TrimSuffix(path, "/"), proxy)
}

// Package page is the web page of the demonstration. It renders a board on the
// server and updates it with server-sent events (HTML Living Standard, section
// 9.2). Without JavaScript the page is complete but does not update.
//
// The page is served outside the pod without a login: anyone who can connect
// can read the messages.
package page

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"slices"
	"time"

	"skr/examples/kafka/board"
)

const (
	readTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second // for a page, and for each event
	idleTimeout  = time.Minute
	stopTimeout  = 5 * time.Second
	maxHeader    = 16 << 10 // bytes
)

// policy lets the page load resources only from this server, and nothing inline
// (Content Security Policy Level 3).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var (
	//go:embed static
	static embed.FS
	//go:embed index.html
	source string

	index = template.Must(template.New("index").Funcs(template.FuncMap{
		"clock": func(t time.Time) string { return t.Format("15:04:05") + " UTC" },
		"iso":   func(t time.Time) string { return t.Format(time.RFC3339) },
	}).Parse(source))
)

// About describes the topic and the key for the page.
type About struct {
	Topic, Key, Vault, Authority string
}

// Serve serves until ctx ends. It closes the listener.
func Serve(ctx context.Context, listener net.Listener, b *board.Board, about About) error {
	server := &http.Server{
		Handler:           Handler(b, about),
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends the streams
	}
	stopped := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = server.Shutdown(ctx) // requests that do not finish in time end with the process
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("page: serving: %w", err)
	}
	return ctx.Err()
}

// Handler serves the page, its files and its events.
func Handler(b *board.Board, about About) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { render(w, b.Since(0), about) })
	mux.Handle("GET /static/", http.FileServerFS(static))
	mux.Handle("GET /events", newStreams(b))
	return secure(mux)
}

// secure adds the headers of every answer.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store") // messages are secret, and files differ between versions
		next.ServeHTTP(w, r)
	})
}

func render(w http.ResponseWriter, now board.Update, about About) {
	slices.Reverse(now.Entries) // newest first
	var text bytes.Buffer
	err := index.Execute(&text, struct {
		board.Update
		About About
	}{now, about})
	if err != nil {
		http.Error(w, "the page cannot be rendered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // the browser may have disconnected
}

package server

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"skr/api"
	"skr/internal/crash"
)

const maxErrorText = 2 << 10 // bytes; a chain of causes is below 500

// entry is one line of the log. Of the request it has a plain X-Request-Id and no
// other header, no body, and no path but ours.
type entry struct {
	id      string
	route   string
	verdict verdict
	err     error
	took    time.Duration
}

// log at debug for a status probe, info for a result, warn for a refusal,
// error for a bug.
func (s *Server) log(r *http.Request, e entry) {
	attributes := []slog.Attr{
		slog.String("request_id", e.id),
		slog.String("method", knownMethod(r.Method)),
		slog.String("route", e.route),
		slog.Int("status", e.verdict.status),
		slog.String("code", string(e.verdict.code)),
		slog.Float64("duration_ms", float64(e.took)/float64(time.Millisecond)),
	}
	if e.err != nil {
		attributes = append(attributes, slog.String("error", shorten(e.err.Error())))
	}
	if crashed, ok := errors.AsType[*crash.Error](e.err); ok {
		attributes = append(attributes, slog.String("stack", crashed.Stack()))
	}
	s.config.Logger.LogAttrs(r.Context(), e.level(), "request", attributes...)
}

func (e entry) level() slog.Level {
	switch {
	case e.verdict.code == api.Internal:
		return slog.LevelError
	case e.err != nil:
		return slog.LevelWarn
	case e.route == api.RouteStatus:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// knownMethod keeps a caller's invention out of the log.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

func shorten(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText], "") + "…"
}

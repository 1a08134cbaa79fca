package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"skr/api"
)

const (
	maxErrorText = 2 << 10 // bytes; a chain of causes is below 500
	maxFrames    = 32
)

// entry is one line of the log: never a body, a path or a header.
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
	if crash, ok := errors.AsType[*panicError](e.err); ok {
		attributes = append(attributes, slog.String("stack", crash.stack))
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

// panicError is a panic as an error. The value is not in it, for it may quote
// what was being worked on, unless the runtime itself wrote it; nor are the
// words of arguments that debug.Stack prints.
type panicError struct{ text, stack string }

func newPanicError(value any) *panicError {
	text := fmt.Sprintf("server: panic with a %T", value)
	if err, ok := value.(runtime.Error); ok {
		text = "server: panic: " + err.Error()
	}
	return &panicError{text, stack()}
}

func (e *panicError) Error() string { return e.text }

// stack lists functions and lines, the innermost first.
func stack() string {
	callers := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	var text strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&text, "%s %s:%d\n", frame.Function, frame.File, frame.Line)
		if !more {
			return text.String()
		}
	}
}

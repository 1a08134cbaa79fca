package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"skr/api"
	"skr/internal/crash"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/access"
)

const maxErrorText = 2 << 10 // bytes; a chain of causes is below 500

// finish reports a request that is over to the metrics and traces, and writes one line of
// log. Many refusals of one kind share a line (refusallog.go). The line has the
// X-Request-Id if it is plain, but no other header, no body, and no path but the server's
// own. It names the key that was released.
func (s *Server) finish(ctx context.Context, x *exchange, v reply, err error, notes journal.Notes) {
	s.config.Finished(journal.Outcome{
		RequestID: x.id, Route: x.path, Code: string(v.code), Start: x.begin, End: x.end,
		Parent: x.parent, Notes: notes,
	})
	level := levelOf(x, v, err)
	if !s.config.Logger.Enabled(ctx, level) {
		return
	}
	if err != nil && !s.refusalLog.logs(nameOf(ctx, x), v.code, x.path, err) {
		return
	}
	attributes := []slog.Attr{
		slog.String("request_id", x.id),
		slog.String("method", x.method),
		slog.String("route", x.path),
		slog.String("caller", x.caller.String()),
		slog.String("stage", string(ended(notes, err))),
		slog.Int("status", v.status),
		slog.String("code", string(v.code)),
		slog.Float64("duration_ms", milliseconds(x.end.Sub(x.begin))),
	}
	if x.key != "" {
		attributes = append(attributes, slog.String("key", x.key))
	}
	if len(notes.Calls) > 0 {
		attributes = append(attributes, slog.Any("upstream", upstreams(notes.Calls)))
	}
	if notes.Fallback > 0 {
		attributes = append(attributes, slog.Int("fallback", notes.Fallback))
	}
	if len(v.reason) > 0 {
		attributes = append(attributes, slog.Any("unmet", claimsOf(v.reason)))
	}
	if err != nil {
		attributes = append(attributes, slog.String("error", shorten(err.Error())))
	}
	if crashed, ok := errors.AsType[*crash.Error](err); ok {
		attributes = append(attributes, slog.String("stack", crashed.Stack()))
	}
	record := slog.NewRecord(x.end, level, "request", 0) // no source position, which would cost a walk of the stack
	record.AddAttrs(attributes...)
	_ = s.config.Logger.Handler().Handle(ctx, record) // like slog.Logger: a log that cannot be written does not stop an answer
}

// nameOf returns the name under which refusals are counted: the caller, or the peer if the
// caller is unknown.
func nameOf(ctx context.Context, x *exchange) string {
	if x.caller == (access.Caller{}) {
		return peerOf(ctx)
	}
	return x.caller.Limit()
}

// ended returns the stage in which a request ended. A request that failed in no stage of the
// pipeline could not be parsed.
func ended(notes journal.Notes, err error) journal.Stage {
	stage := notes.Ended()
	if err != nil && stage == journal.Answer {
		return journal.Receive
	}
	return stage
}

// claimsOf returns the names of the claims. Their values are in the error.
func claimsOf(reasons []api.Reason) []string {
	names := make([]string, len(reasons))
	for i, r := range reasons {
		names[i] = r.Claim
	}
	return names
}

// upstream is an exchange with a service in the log.
type upstream struct {
	Service    string  `json:"service"`
	Status     int     `json:"status"` // 0: no answer
	RequestID  string  `json:"request_id,omitempty"`
	DurationMS float64 `json:"duration_ms"`
}

func upstreams(calls []journal.Call) []upstream {
	list := make([]upstream, len(calls))
	for i, call := range calls {
		list[i] = upstream{call.Service, call.Status, call.RequestID, milliseconds(call.End.Sub(call.Start))}
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// levelOf returns debug for a probe, info for a result, warn for a refusal, and error for a
// bug.
func levelOf(x *exchange, v reply, err error) slog.Level {
	switch {
	case v.code == api.Internal:
		return slog.LevelError
	case err != nil:
		return slog.LevelWarn
	case x.path == api.RouteStatus, x.path == api.RouteReady:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// knownMethod returns a method for the log, and "other" for an unknown one.
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

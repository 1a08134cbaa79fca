package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"skr/internal/sidecar/access"
	"skr/internal/sidecar/follow"
)

// mediaEvents is the type of server-sent events (WHATWG HTML, section 9.2).
const mediaEvents = "text/event-stream"

const (
	// heartbeat is the longest time without a line. The caller's right is checked as often.
	heartbeat = 15 * time.Second
	// reconnect is how long, in milliseconds, a client should wait before it connects again.
	reconnect = 3000
)

// stream sends an event for each version until the caller leaves, loses its right, or the server
// stops. Before the first event an error has an answer of its own.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, x *exchange, want watched) error {
	seen, err := s.waitFor(ctx, want.alias, "", want.timeout)
	if err != nil {
		return err
	}
	out := &eventStream{w: w, known: want.known}
	x.sent = true
	if err := out.begin(x.id, seen); err != nil {
		return gone(err)
	}
	for {
		seen, _ := s.waitFor(ctx, want.alias, out.known, heartbeat) // a failed release is no event
		if r.Context().Err() != nil {
			return errGone
		}
		if s.stopping.Err() != nil {
			return nil //nolint:nilerr // a stop ends the stream as it should
		}
		if err := s.stillMay(r, x, want.alias); err != nil {
			return err
		}
		if err := out.send(seen); err != nil {
			return gone(err)
		}
	}
}

// stillMay checks the caller again: its process may have ended, and its token may have been replaced.
func (s *Server) stillMay(r *http.Request, x *exchange, alias string) error {
	now := &exchange{path: x.path}
	if err := s.identify(r.Context(), r.Header.Values("Authorization"), now); err != nil {
		return err
	}
	return s.mayWatch(access.With(r.Context(), now.caller), alias)
}

// eventStream writes server-sent events.
type eventStream struct {
	w     http.ResponseWriter
	known string // the version that the caller knows
}

// begin sends the header, and the version if the caller does not know it.
func (e *eventStream) begin(id string, seen follow.Version) error {
	header := e.w.Header()
	for name, value := range always {
		header[name] = value
	}
	header["Content-Type"] = []string{mediaEvents}
	header["X-Request-Id"] = []string{id}
	e.w.WriteHeader(http.StatusOK)
	if err := e.write(fmt.Sprintf("retry: %d\n\n", reconnect)); err != nil {
		return err
	}
	return e.send(seen)
}

// send sends an event if the version differs from the one that the caller knows, and a comment otherwise.
func (e *eventStream) send(seen follow.Version) error {
	if seen.Version == "" || seen.Version == e.known {
		return e.write(": no change\n\n")
	}
	data, err := json.Marshal(watchResponse(seen))
	if err != nil {
		return err
	}
	e.known = seen.Version
	return e.write("event: version\nid: " + seen.Version + "\ndata: " + string(data) + "\n\n")
}

func (e *eventStream) write(text string) error {
	control := http.NewResponseController(e.w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has none
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return control.Flush()
}

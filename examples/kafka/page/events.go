package page

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"skr/examples/kafka/board"
)

const (
	maxStreams = 256
	heartbeat  = 15 * time.Second // detects disconnected browsers and keeps proxies from closing
	reconnect  = 2 * time.Second  // how long a browser waits before it reconnects
)

// streams are the event streams of all browsers.
type streams struct {
	board *board.Board
	slots chan struct{}
}

func newStreams(b *board.Board) *streams {
	return &streams{b, make(chan struct{}, maxStreams)}
}

// ServeHTTP streams the changes since ?since= (or Last-Event-ID, when a browser
// reconnects) until the browser disconnects or falls too far behind.
func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // otherwise nginx ingress buffers events
	s.stream(r, &stream{w: w, control: http.NewResponseController(w)})
}

func (s *streams) stream(r *http.Request, to *stream) {
	revision := since(r)
	if to.send(fmt.Sprintf("retry: %d\n\n", reconnect.Milliseconds())) != nil {
		return
	}
	_ = to.control.SetReadDeadline(time.Time{}) // the server's deadline would end the stream
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		changed := s.board.Changed() // before Since, so that no change is missed
		update := s.board.Since(revision)
		if to.send(encode(update)) != nil {
			return
		}
		revision = update.Revision
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-beat.C:
			if to.send(": heartbeat\n\n") != nil {
				return
			}
		}
	}
}

// since returns the browser's revision, or 0 if it sent none.
func since(r *http.Request) uint64 {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("since")
	}
	revision, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return revision
}

// stream is the stream to one browser.
type stream struct {
	w       io.Writer
	control *http.ResponseController
}

func (s *stream) send(text string) error {
	if text == "" {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.control.Flush()
}

// encode encodes an update as events. Only the last event carries the revision,
// so that a browser that gets a part reconnects with the previous revision.
func encode(update board.Update) string {
	var events []string
	if update.Status != nil {
		events = append(events, event("status", update.Status))
	}
	for _, entry := range update.Entries {
		events = append(events, event("entry", entry))
	}
	if len(events) == 0 {
		return ""
	}
	last := len(events) - 1
	events[last] = fmt.Sprintf("id: %d\n", update.Revision) + events[last]
	return strings.Join(events, "")
}

// event returns one event with one line of JSON, which contains no line ends
// (RFC 8259 section 7).
func event(name string, data any) string {
	text, err := json.Marshal(data)
	if err != nil {
		return "" // cannot happen: only text and numbers
	}
	return fmt.Sprintf("event: %s\ndata: %s\n\n", name, text)
}

package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"skr/api"
	"skr/internal/crash"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/ops"
)

// ServeHTTP answers one request and then logs one line.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := s.config.Now()
	// A body that arrives slowly, or that a refusal leaves unread, ends with the request.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.config.Deadline)) // a test's recorder has none
	arriving := &arrival{ReadCloser: r.Body, whole: r.ContentLength == 0}
	r.Body = arriving
	x := &exchange{id: knownID(r.Header.Get("X-Request-Id")), begin: begin, method: knownMethod(r.Method), parent: r.Header.Get("Traceparent")}
	ctx, notes := journal.With(r.Context(), x.id)
	x.path, x.route, x.found = s.lookUp(r)
	s.config.Called(x.path)
	body, err := s.answer(w, r.WithContext(ctx), x)
	defer body.wipe()
	v := reply{status: cmp.Or(body.status, http.StatusOK), code: CodeOK}
	if err != nil {
		v = classify(err)
	}
	noted := notes.Notes()
	x.end = s.config.Now()
	defer func() { s.finish(ctx, x, v, err, noted) }()
	if x.sent {
		return
	}
	if v.status == statusGone {
		panic(http.ErrAbortHandler) // net/http's way to send nothing: returning would send 200
	}
	if !arriving.whole {
		// Otherwise net/http waits for the rest of the body before it answers.
		w.Header().Set("Connection", "close")
	}
	if noted.Fallback > 0 {
		w.Header().Set(api.HeaderFallback, strconv.Itoa(noted.Fallback))
	}
	if err == nil {
		s.credit(x, noted)
		setOrigin(w.Header(), x, noted)
	}
	write(w, x.id, v, body)
	_ = http.NewResponseController(w).Flush() // the caller does not wait for the log
}

// credit counts an answer from the cache as cheap.
func (s *Server) credit(x *exchange, noted journal.Notes) {
	if lookup, asked := noted.Last(journal.Key); asked && lookup.Hit && len(noted.Calls) == 0 {
		s.config.Gate.Credit(x.caller.Limit())
	}
}

// exchange is a request and what is known about it.
type exchange struct {
	id     string
	begin  time.Time
	end    time.Time // when the answer was known
	method string    // a known one, "gRPC" or "other"
	parent string    // the Traceparent header
	path   string    // of a route, or "none"
	route  route
	found  bool
	caller access.Caller
	key    string // identifier of the released key, or ""
	sent   bool   // the answer is a stream, which has begun
}

// arrival records whether a body was read to its end.
type arrival struct {
	io.ReadCloser
	whole bool
}

func (a *arrival) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	a.whole = a.whole || errors.Is(err, io.EOF)
	return n, err
}

// lookUp returns the route and its path, or "none" for an unknown one. It accepts a slash at
// the end, for which the reference sidecar redirects: not all clients follow redirects.
func (s *Server) lookUp(r *http.Request) (string, route, bool) {
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	routes := s.routes
	if r.Context().Value(dialectKey{}) != nil {
		routes = s.dialects
	}
	route, found := routes[path]
	if !found {
		return "none", route, false
	}
	return path, route, true
}

// answer returns the body of a 200, or an error. Waiting for a place, reading the body and
// the pipeline have one deadline.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *exchange) (body, error) {
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Deadline)
	defer cancel()
	admitted := journal.Begin(ctx, journal.Admit)
	leave, err := s.admit(ctx, r, x)
	admitted(err)
	if err != nil {
		s.holdBack(r)
		return body{}, err
	}
	defer leave()
	if x.route.watch != nil {
		return s.runWatch(w, r, x, leave)
	}
	ctx = access.With(ctx, x.caller)
	if x.route.open {
		if x.path == api.RouteReady && ops.WantsText(r) {
			ctx = context.WithValue(ctx, textKey{}, true)
		}
		return s.run(ctx, x.route, nil)
	}
	if x.route.key {
		if ctx, err = withFormat(ctx, r); err != nil {
			return body{}, err
		}
	}
	request, err := s.objectOf(ctx, w, r)
	defer clear(request)
	if err != nil {
		return body{}, err
	}
	answer, err := s.run(ctx, x.route, request)
	x.key = answer.key
	if r.Context().Err() != nil {
		answer.wipe()
		return body{}, gone(err)
	}
	return answer, err
}

// objectOf returns the request as a JSON object: the body, or the query of a GET.
func (s *Server) objectOf(ctx context.Context, w http.ResponseWriter, r *http.Request) (request []byte, err error) {
	received := journal.Begin(ctx, journal.Receive)
	defer func() { received(err) }()
	if r.Method == http.MethodGet {
		return queryRequest(r.URL.RawQuery)
	}
	return s.readBody(ctx, w, r)
}

// run calls the route, and turns a panic into an error.
func (s *Server) run(ctx context.Context, route route, request []byte) (answer body, err error) {
	err = crash.Guard(func() (err error) {
		answer, err = route.answer(ctx, request)
		return err
	})
	return answer, err
}

// readBody reads the body to its bound, not longer than the request may take.
func (s *Server) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := checkContent(r); err != nil {
		return nil, err
	}
	return s.receive(ctx, w, r, s.config.MaxBody)
}

// receive reads a body of at most limit bytes. It has only seconds, because the request has a
// place meanwhile.
func (s *Server) receive(ctx context.Context, w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	control := http.NewResponseController(w) // a test's recorder has no deadlines
	_ = control.SetReadDeadline(time.Now().Add(min(receiveTimeout, s.config.Deadline)))
	text, err := readAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return text, s.unread(ctx, err)
	}
	// net/http now watches whether the caller closes the connection, for which a deadline
	// would pass.
	_ = control.SetReadDeadline(time.Time{})
	return text, nil
}

// usualBody has room for an access token. More room is made for data that has arrived,
// whatever the header announces.
const usualBody = 8 << 10

// readAll is like io.ReadAll, but wipes the buffers that it replaces with larger ones.
func readAll(body io.Reader) ([]byte, error) {
	text := make([]byte, 0, usualBody)
	for {
		n, err := body.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return text, err
		case len(text) == cap(text):
			more := append(make([]byte, 0, 2*cap(text)), text...)
			clear(text)
			text = more
		}
	}
}

// unread returns the refusal for a body that could not be read.
func (s *Server) unread(ctx context.Context, err error) error {
	if isTooLarge(err) {
		return refusal.Because(refusal.BadRequest, fmt.Sprintf("the body is larger than %d bytes", s.config.MaxBody), err)
	}
	if timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && timeout.Timeout() {
		return refusal.Because(refusal.Timeout, "the body did not arrive in time", err)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return gone(err)
	}
	return refusal.Because(refusal.BadRequest, "the body could not be read", err)
}

// checkContent accepts every content type for JSON: curl -d, C#'s StringContent and Node's
// fetch send others (docs/decisions/0007-local-callers.md). Requests of browsers are
// refused before.
func checkContent(r *http.Request) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return refusal.Newf(refusal.BadRequest, "the body must not be compressed")
	}
	return nil
}

// maxRetryAfter is the longest wait that a caller is asked for, even if a service asks skr
// for more.
const maxRetryAfter = time.Hour

// always is in each answer. All answers share the values, which must not change.
var always = http.Header{
	"Content-Type":           {"application/json; charset=utf-8"},
	"Cache-Control":          {"no-store"},
	"X-Content-Type-Options": {"nosniff"},
}

// write is the only function that sends an answer. answer is the body of a result.
func write(w http.ResponseWriter, id string, v reply, answer body) {
	header := w.Header()
	maps.Copy(header, always)
	header["X-Request-Id"] = []string{id}
	if answer.media != "" {
		header["Content-Type"] = []string{answer.media}
	}
	if v.allow != "" {
		header.Set("Allow", v.allow)
	}
	if v.retryAfter > 0 {
		seconds := (min(v.retryAfter, maxRetryAfter) + time.Second - 1) / time.Second
		header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if v.code != CodeOK {
		text, _ := json.Marshal(api.Error{Message: v.text, Code: v.code, RequestID: id, Reason: v.reason}) // strings: no error
		answer = body{plain: text}
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has none
	answer.use(func(text []byte) {
		header.Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(v.status)
		_, _ = w.Write(text) // fails if the caller is gone
	})
}

// setOrigin sets the headers of a released key: its identifier and, if released keys are
// kept, whether it came from the cache and its age (Age, RFC 9111 section 5.1, in seconds).
func setOrigin(header http.Header, x *exchange, noted journal.Notes) {
	if x.key != "" {
		header.Set(api.HeaderKeyID, x.key)
	}
	if lookup, asked := noted.Last(journal.Key); asked {
		header.Set("X-Cache", lookup.Result())
		header.Set("Age", strconv.Itoa(int(lookup.Age/time.Second)))
	}
}

const (
	maxID   = 64 // bytes
	idBytes = "0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// knownID returns the caller's id if it is safe to repeat, and otherwise a random one.
func knownID(given string) string {
	if given == "" || len(given) > maxID || strings.Trim(given, idBytes) != "" {
		return rand.Text()
	}
	return given
}

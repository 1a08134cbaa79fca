package ops

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"skr/internal/crash"
)

// maxScrapes run at once. A scrape that hangs keeps its place after its caller
// has been told, so they cannot pile up.
const maxScrapes = 4

type problem struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

var (
	noRoute  = problem{"bad request: there is no such route; ask /livez, /readyz or /metrics", "bad_request"}
	noMethod = problem{"bad request: use GET or HEAD", "bad_request"}
	crashed  = problem{"internal error, see the log of skr", "internal"}
	tooMany  = problem{"throttled: too many scrapes at once, try again", "throttled"}
	tooSlow  = problem{"timeout: the metrics were not gathered in time", "timeout"}
)

func (s *Server) table() map[string]http.Handler {
	routes := map[string]http.Handler{"/livez": s.probe(live), "/readyz": s.probe(s.ready)}
	if s.config.Metrics != nil {
		text, _ := json.Marshal(tooSlow) // two strings: no error
		routes["/metrics"] = http.TimeoutHandler(few(s.config.Metrics), scrapeTimeout, string(text))
	}
	if s.config.Doctor != nil {
		routes["/doctor"] = s.config.Doctor
	}
	return routes
}

// ServeHTTP answers one request. The path is compared as it was sent.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8") // the metrics have their own
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if err := crash.Guard(func() error { s.route(w, r); return nil }); err != nil {
		s.logCrash(r, err)
		answer(w, http.StatusInternalServerError, crashed)
	}
}

func (s *Server) logCrash(r *http.Request, err error) {
	stack := ""
	if crashed, ok := errors.AsType[*crash.Error](err); ok {
		stack = crashed.Stack()
	}
	s.config.Logger.ErrorContext(r.Context(), "ops request", "error", err.Error(), "stack", stack)
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	route, found := s.routes[r.URL.EscapedPath()]
	switch {
	case !found:
		answer(w, http.StatusNotFound, noRoute)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed, noMethod)
	default:
		route.ServeHTTP(w, r)
	}
}

// probe reports each request to Config.Probed.
func (s *Server) probe(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.config.Probed()
		answer(w, r)
	})
}

// live reports that skr answers requests. Other services do not matter, because a restart
// would not repair them.
func live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	told, status := s.config.Parts.Answer(func(part string, err error) {
		s.config.Logger.DebugContext(r.Context(), "not ready", "part", part, "error", err.Error())
	}), http.StatusOK
	if !told.Ready {
		status = http.StatusServiceUnavailable
	}
	if WantsText(r) {
		w.Header().Set("Content-Type", TextType)
		write(w, status, []byte(told.Lines()))
		return
	}
	answer(w, status, told)
}

// few lets maxScrapes through.
func few(next http.Handler) http.Handler {
	places := make(chan struct{}, maxScrapes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			next.ServeHTTP(w, r)
		default:
			answer(w, http.StatusServiceUnavailable, tooMany)
		}
	})
}

func answer(w http.ResponseWriter, status int, message any) {
	body, _ := json.Marshal(message) // strings and bools: no error
	write(w, status, body)
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that is gone by now needs no answer
}

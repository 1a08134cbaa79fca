// Package ops answers the kubelet and Prometheus: is skr alive, is it ready, and
// what has it counted.
//
// The routes are /livez, /readyz, /metrics and, where it is wanted, /doctor, for
// GET and HEAD:
//
//	s, err := ops.New(ops.Config{Parts: ops.Parts{{Name: "evidence", Err: ready}}, Metrics: metrics})
//	err = s.Serve(ctx, listener) // until ctx ends
//
// Unlike internal/sidecar/server it may listen on every address, as the kubelet and
// Prometheus come from outside the pod. So it answers nothing that is secret, asks a
// service only for /doctor, takes one request a connection, and bounds connections, in all
// and of one address. It authenticates no caller: any that can connect may read.
package ops

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"skr/internal/sidecar/serving"
)

const (
	defaultGrace = 2 * time.Second // an answer takes milliseconds

	// MaxConnections that are open at once: a kubelet and a few Prometheus servers need five.
	MaxConnections = 64

	maxHeader     = 8 << 10         // bytes; theirs are below 1 KiB
	readTimeout   = 5 * time.Second // for a request without a body
	scrapeTimeout = 5 * time.Second // half of what Prometheus waits
	writeTimeout  = 2 * scrapeTimeout
)

// Config is what the server answers with.
type Config struct {
	// Parts must all be ready for skr to be ready; none means that it always is.
	Parts Parts
	// Metrics answers /metrics; nil means that there is no such route.
	Metrics http.Handler
	// Doctor answers /doctor; nil means that there is no such route.
	Doctor http.Handler
	// Probed is called for each request of /livez and /readyz; nil disables the callback.
	Probed func()
	// Grace is how long running requests may take to end once the server stops;
	// 0 means 2 s.
	Grace time.Duration
	// Logger gets what goes wrong, and at debug which part is not ready; nil
	// means none.
	Logger *slog.Logger
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	config Config
	routes map[string]http.Handler
}

// New makes a server. It opens nothing.
func New(c Config) (*Server, error) {
	if err := c.Parts.Check(); err != nil {
		return nil, err
	}
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Probed == nil {
		c.Probed = func() {}
	}
	s := &Server{config: c}
	s.routes = s.table()
	return s, nil
}

// Serve answers until ctx ends. It then lets running requests end within
// Config.Grace and returns nil. It closes the listener.
func (s *Server) Serve(ctx context.Context, socket net.Listener) error {
	return serving.Until(ctx, s.httpServer(), s.config.Grace, serving.NewBound(MaxConnections, s.config.Logger).Listener(socket))
}

// httpServer keeps no connection alive: an idle one would hold a place.
func (s *Server) httpServer() *http.Server {
	server := &http.Server{
		Handler:                      s,
		ReadTimeout:                  readTimeout, // of the header too
		ReadHeaderTimeout:            readTimeout,
		WriteTimeout:                 writeTimeout,
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     serving.Complaints(s.config.Logger),
		DisableGeneralOptionsHandler: true,
	}
	server.SetKeepAlivesEnabled(false)
	return server
}

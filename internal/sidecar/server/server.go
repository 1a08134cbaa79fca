// Package server answers the six HTTP routes of package api.
//
// A request takes one way: its connection is within the share of its peer, it must not
// come from a web page (guard.go), its caller must be one who may use the route and
// takes a place (admit.go), the body is read to a bound and in seconds and decoded
// strictly, the strings become an [attest.Authority] and an [hsm.KeyID], and only then
// is something asked of the pipeline behind the interfaces in routes.go. What comes back is encoded to a
// buffer before the status is sent, so no 2xx ever carries an error. The way
// back is one function that writes, one table from refusals to status codes
// (errors.go), one line of log:
//
//	listener, err := server.Listen(ctx, "localhost:8080")
//	s, err := server.New(server.Config{Evidence: attester, …})
//	err = s.Serve(ctx, listener) // until ctx ends
//
// The package listens on the loopback addresses or a socket. Without an access
// policy it asks for no credentials and trusts what runs in the pod. It collects
// no evidence, asks no service and holds no key longer than an answer takes.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"skr/api"
	"skr/internal/keyuse"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/keyprovider"
	"skr/internal/sidecar/limit"
	"skr/internal/sidecar/ops"
	"skr/internal/sidecar/serving"
	"skr/keyrelease"
)

const (
	defaultMaxBody  = 256 << 10
	defaultDeadline = 60 * time.Second
	defaultGrace    = 10 * time.Second

	maxHeader         = 16 << 10         // bytes; drop-in clients send below 1 KiB
	readHeaderTimeout = 5 * time.Second  // on loopback a header arrives at once
	writeTimeout      = 10 * time.Second // for a caller that does not read its answer
	idleTimeout       = 2 * time.Minute  // of a kept-alive connection
	receiveTimeout    = 10 * time.Second // for a body, while it holds a place
)

// Connections that are open at once, where nothing else is said. Of HTTP they are as
// many as the requests of the default [limit.Gate] that run and wait. One of gRPC
// carries many calls.
const (
	MaxConnections     = 384
	MaxGRPCConnections = 64
)

// Config is what the server answers with, and its limits.
type Config struct {
	// Evidence collects reports and endorsements.
	Evidence Evidence
	// Tokens asks the authority.
	Tokens Tokens
	// Releases asks the vault.
	Releases Releaser
	// VaultKeys uses the keys of aliases whose rights are in the vault; nil means that there
	// are none.
	VaultKeys VaultKeys
	// Authorities parses maa_endpoint and holds it against the allow-list.
	Authorities Authorities
	// Vaults parses akv_endpoint and kid and holds them against the allow-list.
	Vaults Vaults
	// Parts tell GET /readyz, GET /status and the health of gRPC whether skr is ready.
	Parts ops.Parts
	// Problems tells GET /status which optional parts cannot be used; nil means none.
	Problems func() []api.Problem
	// Aliases are the releases that a request may ask for by one name.
	Aliases map[string]keyrelease.Request
	// Rights are what callers may do with the keys of the aliases. An alias without
	// an entry permits everything but RSA1_5.
	Rights map[string]keyuse.Rights
	// Access says which caller may use which route and key; nil means that every
	// caller that can connect may use all.
	Access *access.Policy
	// Gate bounds how many requests run and wait, and how often one caller
	// asks; nil means one with the defaults of package limit.
	Gate *limit.Gate
	// Connections bounds those of HTTP, GRPCConnections those of gRPC; nil means [MaxConnections]
	// and [MaxGRPCConnections].
	Connections, GRPCConnections *serving.Bound
	// Auditor records each release before its key is returned; nil records none.
	Auditor Auditor
	// Called is called with the path of each request when it arrives; nil disables the callback.
	Called func(path string)
	// Finished is called with each request that is over; nil disables the callback.
	Finished func(journal.Outcome)
	// WrapKeys are the keys that the key provider wraps with; nil means none.
	WrapKeys *keyprovider.Keys
	// WrapKeysErr says why there are none although there should be.
	WrapKeysErr error
	// LocalNames are the names of this machine beside localhost that callers may send
	// as Host, in lower case; see [LocalNames].
	LocalNames []string
	// UVMEndorsements is the base64 text that the platform gives, which
	// /attest/combined repeats; "" where there is none.
	UVMEndorsements string

	// MaxBody is the largest request in bytes; 0 means 256 KiB.
	MaxBody int64
	// Deadline of one request; 0 means 60 s.
	Deadline time.Duration
	// Grace is how long running requests may take to end once the server
	// stops; 0 means 10 s.
	Grace time.Duration

	// Logger gets one line a request; nil means none.
	Logger *slog.Logger
	// Now is the clock of durations in the log; nil means time.Now.
	Now func() time.Time
}

// Server answers HTTP requests. It is safe for concurrent use.
type Server struct {
	config   Config
	routes   map[string]route
	lobby    *limit.Gate // of requests that need no permission
	refusals limit.Refusals
	openers  openers
	// refusalLog decides which refusals get a log line of their own.
	refusalLog *refusalLog
}

var _ http.Handler = (*Server)(nil)

// New makes a server. It opens nothing.
func New(c Config) (*Server, error) {
	if c.Evidence == nil || c.Tokens == nil || c.Releases == nil || c.Authorities == nil || c.Vaults == nil {
		return nil, errors.New("a part of the pipeline is missing")
	}
	if err := c.Parts.Check(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Server{config: c, lobby: newLobby(c.Gate.Rate()), refusalLog: newRefusalLog(c.Logger)}
	s.routes = s.table()
	return s, nil
}

func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	c.Deadline = cmp.Or(c.Deadline, defaultDeadline)
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	if c.Problems == nil {
		c.Problems = func() []api.Problem { return nil }
	}
	if c.Called == nil {
		c.Called = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Gate == nil {
		c.Gate = limit.New(limit.Config{})
	}
	if c.VaultKeys == nil {
		c.VaultKeys = noVaultKeys{}
	}
	if c.Auditor == nil {
		c.Auditor = noAuditor{}
	}
	if c.Finished == nil {
		c.Finished = func(journal.Outcome) {}
	}
	if c.Connections == nil {
		c.Connections = serving.NewBound(MaxConnections, c.Logger)
	}
	if c.GRPCConnections == nil {
		c.GRPCConnections = serving.NewBound(MaxGRPCConnections, c.Logger)
	}
	return c
}

// Serve answers until ctx ends. It then stops accepting, lets running requests
// end within Config.Grace, and returns nil; requests that take longer are cut
// off, which is an error. It closes the listener.
func (s *Server) Serve(ctx context.Context, l *Listener) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut() // after Until: a request that was cut off has nobody to answer
	defer s.refusalLog.count()
	return serving.Until(ctx, s.httpServer(base), s.config.Grace, s.sockets(l, s.config.Connections)...)
}

// ServeAs answers with a handler that calls the server, over TLS, until ctx ends. It closes
// the listener.
func (s *Server) ServeAs(ctx context.Context, l *Listener, secure *tls.Config, handler http.Handler) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := s.httpServer(base)
	server.Handler = handler
	sockets := s.sockets(l, s.config.Connections)
	for i, socket := range sockets {
		sockets[i] = tls.NewListener(socket, secure)
	}
	return serving.Until(ctx, server, s.config.Grace, sockets...)
}

// sockets with their limit. Who is beyond it is not asked for its credentials.
func (s *Server) sockets(l *Listener, bound *serving.Bound) []net.Listener {
	sockets := make([]net.Listener, len(l.sockets))
	for i, socket := range l.sockets {
		sockets[i] = access.Listen(bound.Listener(socket))
	}
	return sockets
}

// httpServer has no ReadTimeout and WriteTimeout: they would end the context of
// a request that waits for Azure. readBody and write set their own deadlines.
func (s *Server) httpServer(base context.Context) *http.Server {
	return &http.Server{
		Handler:                      s,
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnContext:                  access.ConnContext,
		ReadHeaderTimeout:            readHeaderTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     serving.Complaints(s.config.Logger),
		DisableGeneralOptionsHandler: true,
	}
}

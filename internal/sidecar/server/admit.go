package server

import (
	"context"
	"net/http"

	"skr/internal/refusal"
	"skr/internal/sidecar/access"
)

// admit checks the caller and the route, and waits for a place to run. The caller of
// admit calls leave to return the place. GET needs no permission: its answers are not
// secret.
func (s *Server) admit(ctx context.Context, r *http.Request, x *exchange) (leave func(), err error) {
	if err := s.checkCaller(r); err != nil {
		return nil, err
	}
	switch {
	case !x.found:
		return nil, errNoRoute
	case r.Method != x.route.method:
		return nil, &methodError{x.route.method}
	case r.Method == http.MethodGet:
		return s.lobby.Enter(ctx, peerOf(ctx))
	}
	return s.enter(ctx, r.Header.Values("Authorization"), x)
}

// enter admits a POST of HTTP, a call of gRPC or a request of the SSH agent: it identifies the
// caller, checks that the caller may use the route, and waits for a place to run. The body has
// not been read yet.
func (s *Server) enter(ctx context.Context, authorization []string, x *exchange) (leave func(), err error) {
	if err := s.identify(ctx, authorization, x); err != nil {
		return nil, err
	}
	return s.config.Gate.Enter(ctx, x.caller.Limit())
}

// peerOf names the peer of a request's connection, without its credentials.
func peerOf(ctx context.Context) string {
	var anybody *access.Policy
	peer, _ := anybody.Identify(ctx, "") // it refuses no peer
	return peer.Limit()
}

// holdBack delays the answer to a peer that is refused repeatedly. If too many of its
// answers are delayed, it ends the connection or stream without an answer.
func (s *Server) holdBack(r *http.Request) {
	if !s.refusals.Wait(r.Context(), peerOf(r.Context())) {
		panic(http.ErrAbortHandler) // net/http's way to send nothing
	}
}

// identify finds out who the caller is and checks that it may use the route.
func (s *Server) identify(ctx context.Context, given []string, x *exchange) error {
	if len(given) > 1 {
		return refusal.Newf(refusal.CallerNotAllowed, "there is more than one Authorization header")
	}
	authorization := ""
	if len(given) == 1 {
		authorization = given[0]
	}
	var err error
	if x.caller, err = s.config.Access.Identify(ctx, authorization); err != nil {
		return err
	}
	return s.config.Access.MayUse(x.caller, x.path)
}

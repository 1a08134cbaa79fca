package server

import (
	"context"
	"net/http"

	"skr/internal/refusal"
	"skr/internal/sidecar/access"
)

// admit says whether the request may go on, and takes a place for it, which the
// caller of admit gives back. GET needs no permission: what it tells
// is no secret.
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
	return s.enter(ctx, r, x)
}

// enter is the way of every request that asks for something, of HTTP and of gRPC: who
// asks, may it use the route, has it a place. Nothing of the body has been read.
func (s *Server) enter(ctx context.Context, r *http.Request, x *exchange) (leave func(), err error) {
	if err := s.identify(r.Context(), r.Header.Values("Authorization"), x); err != nil {
		return nil, err
	}
	return s.config.Gate.Enter(ctx, x.caller.Limit())
}

// peerOf names the peer of a request's connection, whoever it says it is.
func peerOf(ctx context.Context) string {
	var anybody *access.Policy
	peer, _ := anybody.Identify(ctx, "") // it refuses nobody
	return peer.Limit()
}

// holdBack delays the answer to a peer that is refused again and again. Of one that
// has too many of them on the way, the connection or stream ends without an answer.
func (s *Server) holdBack(r *http.Request) {
	if !s.refusals.Wait(r.Context(), peerOf(r.Context())) {
		panic(http.ErrAbortHandler) // net/http's way to send nothing
	}
}

// identify the caller, who must be one that may use the route.
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

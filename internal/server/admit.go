package server

import (
	"context"
	"net/http"

	"skr/internal/refusal"
)

// admit says whether the request may go on, and takes a place for it, which the
// caller of admit gives back. GET needs neither a place nor a permission: the
// status tells nobody anything.
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
		return func() {}, nil
	}
	if err := s.identify(r.Context(), r.Header.Values("Authorization"), x); err != nil {
		return nil, err
	}
	return s.config.Gate.Enter(ctx, x.caller.Limit())
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

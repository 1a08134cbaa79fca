package server

import (
	"context"
	"errors"
	"regexp"
	"time"

	"skr/api"
	"skr/hsm"
	"skr/internal/keyuse"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/sidecar/access"
	"skr/keyrelease"
)

// Auditor records which caller received which key.
type Auditor interface {
	// Released records a release before its key is returned, or a refusal: then err is
	// not nil and key is nil. request is zero if it could not be parsed or names what the
	// allow-lists do not. If Released returns an error, the key is not released.
	Released(ctx context.Context, request keyrelease.Request, key *hsm.Key, err error) error
	// Used records operations with a key before their results are returned, or their
	// refusal: then err is not nil. If Used returns an error, there is no result.
	Used(ctx context.Context, use Use, err error) error
}

// Use is a request for operations with one key.
type Use struct {
	// Request names the key; it is zero as in Released.
	Request keyrelease.Request
	// Key is the identifier of the key with its version, or "" if there was no key to use.
	Key string
	// PolicyHash is that of the released key, or "".
	PolicyHash string
	// Operation is the operation on every item.
	Operation keyuse.Operation
	// Count is the number of items, and Failed the number of items without a result.
	Count, Failed int
	// Took is the duration of the operations; 0 if there was no key to use.
	Took time.Duration
}

type noAuditor struct{}

func (noAuditor) Used(context.Context, Use, error) error { return nil }

func (noAuditor) Released(context.Context, keyrelease.Request, *hsm.Key, error) error { return nil }

func (s *Server) release(ctx context.Context, r api.ReleaseRequest) (body, error) {
	key, err := s.releaseKey(ctx, demand{ReleaseRequest: r, right: keyuse.Release})
	if err != nil {
		return body{}, err
	}
	defer key.Wipe()
	answer := key.Answer(encodeKey)
	if answer == nil {
		return body{}, errors.New("the key was wiped before it was given out")
	}
	return body{secret: answer, key: key.ID()}, nil
}

// encodeKey encodes without encoding/json, whose buffers would keep copies of the key.
func encodeKey(jwk []byte) []byte { return api.ReleaseResponse{Key: jwk}.AppendJSON(nil) }

// demand is a release as a caller asks for it.
type demand struct {
	api.ReleaseRequest

	// annotated marks the names of an annotation. A caller that may have the newest version
	// only may use an annotation of this version.
	annotated bool
	// right is what the caller will do with the key.
	right keyuse.Operation
}

// releaseKey returns no key that the auditor has not recorded.
func (s *Server) releaseKey(ctx context.Context, d demand) (*hsm.Key, error) {
	var key *hsm.Key
	request, err := s.parseRelease(ctx, d)
	if err == nil {
		key, request, err = keyrelease.Anywhere(ctx, s.config.Releases, request)
		journal.FellBack(ctx, request.Fallback())
	}
	if unrecorded := s.config.Auditor.Released(ctx, request, key, err); unrecorded != nil {
		key.Wipe()
		return nil, errors.Join(err, unrecorded)
	}
	return key, err
}

// parseRelease parses the request and checks that the caller may have the key. If the
// caller may not, it returns the request too, for the auditor.
func (s *Server) parseRelease(ctx context.Context, d demand) (request keyrelease.Request, err error) {
	request, err = s.named(ctx, d.ReleaseRequest)
	if err != nil {
		return keyrelease.Request{}, err
	}
	if request, err = s.mayHave(ctx, d, request); err != nil {
		return request, err
	}
	if request, err = s.permit(ctx, d, request); err != nil {
		return request, err
	}
	request.Access, err = parseAccessToken(d.AccessToken)
	return request, err
}

// named returns the release that an alias stands for, or that of the endpoints that
// drop-in clients send. A caller that is bound to aliases does not learn which other
// aliases exist.
func (s *Server) named(ctx context.Context, r api.ReleaseRequest) (keyrelease.Request, error) {
	if r.Alias == "" {
		return s.parseNames(r)
	}
	if r.MAAEndpoint != "" || r.AKVEndpoint != "" || r.KID != "" {
		return keyrelease.Request{}, refusal.Newf(refusal.BadRequest,
			"member %q stands for authority, vault and key: leave the others out", "alias")
	}
	if request, found := s.config.Aliases[r.Alias]; found {
		return request.At(r.Version)
	}
	if err := s.config.Access.MayHave(access.From(ctx), r.Alias); err != nil {
		return keyrelease.Request{}, err
	}
	return keyrelease.Request{}, refusal.Newf(refusal.BadRequest, "member %q names none of the keys in the configuration", "alias")
}

func (s *Server) parseNames(r api.ReleaseRequest) (keyrelease.Request, error) {
	if r.Version != "" {
		return keyrelease.Request{}, refusal.Newf(refusal.BadRequest,
			"member %q goes with an alias; without one, write the version into kid: name/version", "version")
	}
	authority, err := s.parseAuthority(r.MAAEndpoint)
	if err != nil {
		return keyrelease.Request{}, err
	}
	if err := required("akv_endpoint", r.AKVEndpoint); err != nil {
		return keyrelease.Request{}, err
	}
	if err := required("kid", r.KID); err != nil {
		return keyrelease.Request{}, err
	}
	id, err := s.config.Vaults.Parse(r.AKVEndpoint, r.KID)
	return keyrelease.Request{Authority: authority, Key: id}, err
}

// mayHave checks the release against the access policy, and returns the release as the
// policy allows it. If the policy binds callers to aliases, a release by endpoints must be
// one of the caller's aliases, in a version that the alias gives.
func (s *Server) mayHave(ctx context.Context, d demand, asked keyrelease.Request) (keyrelease.Request, error) {
	caller := access.From(ctx)
	if d.Alias != "" {
		return asked, s.config.Access.MayHave(caller, d.Alias)
	}
	if !s.config.Access.Binds() {
		return asked, nil
	}
	allowed := false
	limited := asked
	for alias, known := range s.config.Aliases {
		as, leads := known.Leads(asked)
		if !leads || s.config.Access.MayHave(caller, alias) != nil {
			continue
		}
		if as.Exact() || d.annotated && !allowed {
			allowed, limited = true, as
		}
	}
	if allowed {
		return limited, nil
	}
	return asked, refusal.Newf(refusal.CallerNotAllowed,
		"%s may not have this key by this authority; the access section of the configuration binds callers to aliases", caller)
}

// bearer is the syntax of RFC 6750 section 2.1. No service accepts a header with anything
// else.
var bearer = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

func parseAccessToken(token api.Secret) (secmem.Text, error) {
	if len(token) == 0 {
		return secmem.Text{}, nil
	}
	if !bearer.Match(token) {
		return secmem.Text{}, refusal.Newf(refusal.BadRequest, "member %q is not a bearer token", "access_token")
	}
	return secmem.NewText(string(token)), nil
}

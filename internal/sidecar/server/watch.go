package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"skr/api"
	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/follow"
)

// Watch knows the versions of keys.
type Watch interface {
	// Wait returns the version of the alias's key as soon as it differs from known, and when ctx
	// ends the one that was seen last.
	Wait(ctx context.Context, alias, known string) (follow.Version, error)
	// Saw records a key that was released for the alias.
	Saw(alias string, key *hsm.Key)
}

var _ Watch = (*follow.Follower)(nil)

type noWatch struct{}

func (noWatch) Wait(context.Context, string, string) (follow.Version, error) {
	return follow.Version{}, refusal.Newf(refusal.BadRequest, "this program watches no keys")
}

func (noWatch) Saw(string, *hsm.Key) {}

const (
	defaultWatch  = time.Minute
	shortestWatch = time.Second
	longestWatch  = 10 * time.Minute
)

// watched is what a request waits for.
type watched struct {
	alias, known string
	timeout      time.Duration
	stream       bool
}

// parseWatch parses the query. Like a member of a body, a parameter is known and occurs once.
func parseWatch(query string, header http.Header) (want watched, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return want, refusal.Newf(refusal.BadRequest, "the query is malformed")
	}
	want.timeout = defaultWatch
	for name, all := range values {
		if len(all) != 1 {
			return want, refusal.Newf(refusal.BadRequest, "a parameter of the query occurs more than once")
		}
		switch name {
		case "alias":
			want.alias = all[0]
		case "version":
			want.known = all[0]
		case "timeout":
			if want.timeout, err = parseWait(all[0]); err != nil {
				return want, err
			}
		default:
			return want, refusal.Newf(refusal.BadRequest, "a parameter of the query is unknown; use alias, version and timeout")
		}
	}
	want.stream = strings.Contains(strings.Join(header.Values("Accept"), ","), mediaEvents)
	if last := header.Get("Last-Event-Id"); want.stream && last != "" {
		want.known = last
	}
	if want.known != "" && hsm.CheckVersion(want.known) != nil {
		return want, refusal.Newf(refusal.BadRequest, "parameter %q is not a version", "version")
	}
	if want.alias == "" {
		return want, refusal.Newf(refusal.BadRequest, "parameter %q is missing or empty", "alias")
	}
	return want, nil
}

func parseWait(text string) (time.Duration, error) {
	wait, err := time.ParseDuration(text)
	if err != nil || wait < shortestWatch || wait > longestWatch {
		return 0, refusal.Newf(refusal.BadRequest, "parameter %q must be a duration of %v to %v, such as 30s", "timeout", shortestWatch, longestWatch)
	}
	return wait, nil
}

// runWatch calls the route, and turns a panic into an error.
func (s *Server) runWatch(w http.ResponseWriter, r *http.Request, x *exchange, leave func()) (answer body, err error) {
	err = crash.Guard(func() (err error) {
		answer, err = x.route.watch(w, r, x, leave)
		return err
	})
	return answer, err
}

// watch answers with the version of a key: when it changes, or at the end of the time. The request
// has no place of the gate while it waits, but one of the watchers.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, x *exchange, leave func()) (body, error) {
	want, err := parseWatch(r.URL.RawQuery, r.Header)
	if err != nil {
		return body{}, err
	}
	ctx := access.With(r.Context(), x.caller)
	if err := s.mayWatch(ctx, want.alias); err != nil {
		return body{}, err
	}
	done, err := s.watchers.enter(x.caller.Limit())
	if err != nil {
		return body{}, err
	}
	defer done()
	leave()
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // it would end the request while it waits
	if want.stream {
		return body{}, s.stream(ctx, w, r, x, want)
	}
	seen, err := s.waitFor(ctx, want.alias, want.known, want.timeout)
	switch {
	case r.Context().Err() != nil:
		return body{}, gone(err)
	case err != nil:
		return body{}, err
	}
	return encode(watchResponse(seen))
}

// mayWatch checks that the caller may know of the key. Its version is not secret, so that the ops of
// the alias do not matter. The caller of an access rule does not learn which other aliases exist.
func (s *Server) mayWatch(ctx context.Context, alias string) error {
	if err := s.config.Access.MayHave(access.From(ctx), alias); err != nil {
		return err
	}
	if _, found := s.config.Aliases[alias]; !found {
		return refusal.Newf(refusal.BadRequest, "parameter %q names none of the keys in the configuration", "alias")
	}
	if s.config.Rights[alias].InVault() {
		return refusal.Newf(refusal.BadRequest, "the key of %q stays in its vault (in_vault); only keys that are released can be watched", alias)
	}
	return nil
}

// waitFor waits for another version than known, for some time and not longer than the server runs.
func (s *Server) waitFor(ctx context.Context, alias, known string, timeout time.Duration) (follow.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	return s.config.Watch.Wait(ctx, alias, known)
}

func watchResponse(seen follow.Version) api.WatchResponse {
	return api.WatchResponse{KID: seen.ID, Version: seen.Version}
}

// saw tells the watchers of a release by alias.
func (s *Server) saw(d demand, key *hsm.Key) {
	if key != nil && d.Alias != "" && d.Version == "" {
		s.config.Watch.Saw(d.Alias, key)
	}
}

// Watchers returns how many requests wait for another version of a key.
func (s *Server) Watchers() int { return s.watchers.load() }

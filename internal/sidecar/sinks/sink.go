package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"skr/internal/crash"
	"skr/internal/refusal"
)

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	// lookEvery is how often templates and envelopes are looked at, without reading them.
	lookEvery = 10 * time.Second
)

// sink is one file.
type sink struct {
	config  Config
	spec    Spec
	place   place
	content content

	// Of run alone.
	rendered   string       // the fingerprint of what the file was made from; "" for nothing
	recorded   map[use]bool // uses that have a record
	unnotified bool         // the file is newer than the last notice
	began      bool         // the file was replaced before, since the start
	failures   int          // in a row

	mu      sync.Mutex
	written bool
	err     error // of the last attempt
}

func (c Config) newSink(spec Spec) (*sink, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	content, needs, err := newContent(spec)
	if err != nil {
		return nil, err
	}
	if err := c.checkRights(spec, needs); err != nil {
		return nil, err
	}
	place, err := newPlace(spec)
	if err != nil {
		return nil, err
	}
	return &sink{config: c, spec: spec, place: place, content: content, recorded: map[use]bool{}, err: errNotYet}, nil
}

func (c Config) checkRights(spec Spec, needs []named) error {
	for _, alias := range spec.Aliases {
		if err := c.Known(alias); err != nil {
			return err
		}
	}
	for _, need := range needs {
		if !slices.Contains(spec.Aliases, need.alias) {
			return fmt.Errorf("template: the alias %.80q is not in the list of this sink; add it to alias", need.alias)
		}
		if err := c.May(need.alias, need.right); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) state() (written bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written, s.err
}

// run keeps the file up to date until ctx ends.
func (s *sink) run(ctx context.Context, keys Keys) {
	news := keys.Subscribe(s.spec.Aliases)
	if err := s.place.clean(); err != nil {
		s.config.Logger.Warn("cannot remove what an earlier process left", "sink", s.spec.Path, "error", err.Error())
	}
	for {
		err := crash.Guard(func() error { return s.refresh(ctx, keys) })
		if ctx.Err() != nil {
			break
		}
		s.note(err)
		if !s.wait(ctx, news, err) {
			break
		}
	}
	if s.spec.Remove {
		if err := s.place.remove(); err != nil {
			s.config.Logger.Warn("cannot remove the file", "sink", s.spec.Path, "error", err.Error())
		}
	}
}

// wait returns when there is something to do. It reports whether ctx has not ended.
func (s *sink) wait(ctx context.Context, news <-chan struct{}, failed error) bool {
	var retry <-chan time.Time
	if failed != nil && !isUnreleased(failed) { // the follower tells when a release succeeds
		wait := min(firstRetry<<min(s.failures-1, 16), lastRetry)
		retry = time.After(wait/2 + rand.N(wait/2)) //nolint:gosec // jitter is no secret
	}
	for {
		var look <-chan time.Time
		if s.content.hasFiles() {
			look = time.After(lookEvery)
		}
		select {
		case <-ctx.Done():
			return false
		case <-news:
			return true
		case <-retry:
			return true
		case <-look:
			if s.content.files() != s.content.lookedAt {
				return true
			}
		}
	}
}

// refresh brings the file up to date, and notifies. An error of the vault is returned even if the
// file needs no change, so that it is seen.
func (s *sink) refresh(ctx context.Context, keys Keys) error {
	in, err := s.content.inputs(ctx, s.spec, keys, s.config.May)
	defer in.wipe()
	if err != nil {
		return err
	}
	if in.fingerprint != s.rendered {
		if err := s.replace(ctx, in); err != nil {
			return err
		}
		s.rendered = in.fingerprint
	}
	if s.unnotified {
		if err := s.spec.notify(ctx, !s.began); err != nil {
			return &notifyError{err}
		}
		s.unnotified, s.began = false, true
		s.config.Done(Written)
	}
	for _, alias := range s.spec.Aliases {
		if err := keys.Err(alias); err != nil {
			return &unreleasedError{err}
		}
	}
	return nil
}

// replace renders and writes.
func (s *sink) replace(ctx context.Context, in *inputs) error {
	text, err := s.content.render(s.spec, in)
	defer wipe(text)
	if err != nil {
		return err
	}
	if err := s.record(ctx, in); err != nil {
		return err
	}
	replaced, err := s.place.write(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.written = true
	s.mu.Unlock()
	if replaced {
		s.unnotified = true
		s.config.Logger.Info("wrote a file", "sink", s.spec.Path, "keys", in.ids())
	} else {
		s.config.Logger.Info("the file is up to date", "sink", s.spec.Path, "keys", in.ids())
	}
	return nil
}

// record records the uses of the keys that have no record yet.
func (s *sink) record(ctx context.Context, in *inputs) error {
	for u, key := range in.uses {
		if s.recorded[u] {
			continue
		}
		if err := s.config.Record(ctx, s.spec.Path, u.alias, u.right, key); err != nil {
			return refusal.Because(refusal.Unavailable, "the use of the key cannot be recorded; make the audit file writable", err)
		}
		s.recorded[u] = true
	}
	return nil
}

// note keeps the result of an attempt, and logs it if it is news.
func (s *sink) note(err error) {
	s.mu.Lock()
	before := s.err
	s.err = err
	s.mu.Unlock()
	if err == nil {
		s.failures = 0
		return
	}
	if errors.Is(err, errNotYet) {
		return
	}
	s.failures++
	result := Failed
	if _, is := errors.AsType[*notifyError](err); is {
		result = NotNotified
	}
	s.config.Done(result)
	if before == nil || before.Error() != err.Error() {
		s.config.Logger.Warn("a sink is not up to date; the old file stays", "sink", s.spec.Path, "result", string(result), "error", err.Error())
	}
}

// notifyError means that the file was written and the application does not know.
type notifyError struct{ error }

func (e *notifyError) Unwrap() error { return e.error }

// unreleasedError means that the vault does not release the key now.
type unreleasedError struct{ error }

func (e *unreleasedError) Unwrap() error { return e.error }

func isUnreleased(err error) bool {
	_, is := errors.AsType[*unreleasedError](err)
	return is || errors.Is(err, errNotYet)
}

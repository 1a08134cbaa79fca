package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Times of the cleaning. Azure takes some seconds for a deletion and for a purge.
const (
	cleaningTime = 5 * time.Minute
	cleaningStep = 2 * time.Second
)

// state is what the run knows of a key of its own.
type state int

const (
	unsure  state = iota // its creation was not answered
	present              // the vault has it
	deleted              // the vault has deleted it, or is about to
)

// leftovers are the keys that a run may have left in one vault, by name. A purged key is not among them.
type leftovers map[string]state

// sending notes a request that may make a key, before it is sent.
func (l leftovers) sending(r request) {
	if _, known := l[r.key]; r.creates && !known {
		l[r.key] = unsure
	}
}

// answered notes what a request has changed.
func (l leftovers) answered(r request, status int) {
	switch {
	case status/100 != 2:
		if l[r.key] == unsure && status/100 == 4 {
			delete(l, r.key) // the vault refused to make it
		}
	case r.creates:
		l[r.key] = present
	case r.method == http.MethodDelete && strings.HasPrefix(r.path, "/keys/"):
		l[r.key] = deleted
	case r.method == http.MethodDelete:
		delete(l, r.key)
	}
}

// Leftover is a key that the run could not remove.
type Leftover struct{ Host, Key, Reason string }

// clean deletes and purges the keys of the run, after an interruption too, and returns those that remain.
func (s *session) clean(ctx context.Context, transport http.RoundTripper) (left []Leftover) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaningTime)
	defer cancel()
	for _, step := range []func(cleaning) error{cleaning.delete, cleaning.purge} { // all keys are deleted before one is waited for
		for _, name := range slices.Sorted(maps.Keys(s.left)) {
			if err := step(cleaning{s, ctx, transport, name}); err != nil {
				left = append(left, Leftover{s.host, name, s.text(err.Error())})
				delete(s.left, name)
			}
		}
	}
	clear(s.left)
	return left
}

// cleaning removes one key.
type cleaning struct {
	s         *session
	ctx       context.Context //nolint:containedctx // for the steps of one removal
	transport http.RoundTripper
	name      string
}

const (
	keyPath     = "/keys/{key}"
	deletedPath = "/deletedkeys/{key}"
)

func (c cleaning) call(method, path string) (int, error) {
	token, err := c.s.token(c.ctx)
	if err != nil {
		return 0, err
	}
	got, err := c.s.send(c.ctx, c.transport, request{method: method, path: path, key: c.name, api: stable, token: token})
	if err != nil {
		return 0, err
	}
	return got.status, nil
}

// until repeats a request until its status is one of those, and returns it. It repeats one that fails a
// few times: a key that is left costs money. After a deletion without an answer, 404 may mean success.
func (c cleaning) until(method, path string, wanted ...int) (int, error) {
	for failures := 0; ; {
		status, err := c.call(method, path)
		switch _, noToken := errors.AsType[*skip](err); {
		case err == nil && slices.Contains(wanted, status), noToken:
			return status, err
		case err != nil || status >= http.StatusInternalServerError:
			if failures++; failures == maxTries {
				return status, cmp.Or(err, fmt.Errorf("%s %s: status %d", method, path, status))
			}
			if method == http.MethodDelete {
				wanted = append(slices.Clip(wanted), http.StatusNotFound)
			}
		case status != http.StatusConflict && status != http.StatusNotFound:
			return status, fmt.Errorf("%s %s: status %d", method, path, status)
		}
		if c.s.pause(c.ctx, cleaningStep) != nil {
			return status, fmt.Errorf("%s %s: still status %d after %s", method, path, status, cleaningTime)
		}
	}
}

// delete deletes the key. A key whose creation was not answered may appear late, so it is looked for
// twice.
func (c cleaning) delete() error {
	if c.s.left[c.name] == unsure {
		if status, err := c.call(http.MethodGet, keyPath); err != nil || status == http.StatusNotFound {
			_ = c.s.pause(c.ctx, cleaningStep) // the next request fails if the time is over
		}
		status, err := c.until(http.MethodGet, keyPath, http.StatusOK, http.StatusForbidden, http.StatusNotFound)
		if err != nil {
			return err
		}
		if status == http.StatusNotFound {
			delete(c.s.left, c.name)
			return nil
		}
	}
	if c.s.left[c.name] == deleted {
		return nil
	}
	_, err := c.until(http.MethodDelete, keyPath, http.StatusOK)
	return err
}

// purge purges the key once it is deleted.
func (c cleaning) purge() error {
	if _, err := c.until(http.MethodGet, deletedPath, http.StatusOK); err != nil {
		return err
	}
	status, err := c.until(http.MethodDelete, deletedPath, http.StatusNoContent, http.StatusForbidden)
	if err == nil && status == http.StatusForbidden {
		err = errors.New("it is deleted, and may not be purged (status 403): the vault purges it at the end of its retention period")
	}
	return err
}

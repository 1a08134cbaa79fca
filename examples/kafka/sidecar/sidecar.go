// Package sidecar has skr decrypt messages with a key that stays there, or gets the private key
// from skr. skr runs beside the consumer and proves to the key vault which machine both run in.
package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"skr/api"
	"skr/examples/kafka/message"
)

const (
	// attempt is longer than skr's own request_timeout, so that skr's answer arrives in time.
	attempt   = 70 * time.Second
	firstWait = time.Second
	maxWait   = 30 * time.Second
)

// Asker requests one key from skr.
type Asker struct {
	// Client is the client of the sidecar. Turn off its own retries.
	Client *api.Client
	// URL is the sidecar's URL, for messages.
	URL string
	// Alias is the sidecar's name of a key that stays there; "" if the key is released.
	Alias string
	// Request names the key that is released, or the version of the alias's key.
	Request api.ReleaseRequest
	// Refused is called after each failed attempt with the reason.
	Refused func(reason, code, requestID string)
	// Log receives the same reasons.
	Log *slog.Logger
}

// At returns an Asker for another version of the key.
func (a Asker) At(version string) Asker {
	if a.Alias != "" {
		a.Request.Version = version
		return a
	}
	name, _, _ := strings.Cut(a.Request.KID, "/")
	a.Request.KID = name + "/" + version
	return a
}

// Key requests the key until it is released or ctx ends, with growing pauses of
// at most 30 seconds. No refusal is final: sidecars start, roles are assigned,
// policies change.
func (a Asker) Key(ctx context.Context) (key message.Key, err error) {
	if a.Alias != "" {
		err = a.until(ctx, func(ctx context.Context) (err error) { key, err = a.find(ctx); return err })
		return key, err
	}
	if err = a.until(ctx, func(ctx context.Context) (err error) { key, err = a.ask(ctx); return err }); err == nil {
		a.Log.Info("the key was released", "key", key.Name, "version", key.Version)
	}
	return key, err
}

// until tries until it succeeds or ctx ends.
func (a Asker) until(ctx context.Context, try func(context.Context) error) error {
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		err := a.once(ctx, try)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.tell(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait/2 + rand.N(wait/2)): //nolint:gosec // jitter is not secret
		}
	}
}

func (Asker) once(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return try(ctx)
}

func (a Asker) ask(ctx context.Context) (message.Key, error) {
	released, err := a.Client.ReleaseKey(ctx, a.Request)
	if err != nil {
		return message.Key{}, err
	}
	defer released.JWK.Wipe()
	private, kid, err := message.ParsePrivateKey(released.JWK)
	if err != nil {
		return message.Key{}, err
	}
	key := message.Key{Private: private}
	key.Name, key.Version = nameOf(cmp.Or(released.ID, kid, a.Request.KID)) // older sidecars send only the kid
	return key, nil
}

func (a Asker) tell(err error) {
	reason, code, id := a.explain(err)
	a.Log.Warn("no key", "reason", reason, "code", code, "request_id", id)
	a.Refused(reason, code, id)
}

// explain returns a reason that the reader can act on.
func (a Asker) explain(err error) (reason, code, requestID string) {
	if refused, ok := errors.AsType[*api.Error](err); ok {
		return refused.Message, string(refused.Code), refused.RequestID
	}
	if errors.Is(err, message.ErrNotPrivate) {
		return err.Error() + "; SkrClientKID names a key of another type", "", ""
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the request, which does not help a reader
	}
	return fmt.Sprintf("no sidecar answers at %s: the container skr is missing from this pod, or is still starting (%v)", a.URL, err), "", ""
}

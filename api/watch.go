package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// WatchResponse answers GET /key/watch.
type WatchResponse struct {
	// KID is the identifier of the key with its version.
	KID string `json:"kid"`
	// Version is the version that the alias gives now.
	Version string `json:"version"`
}

// watchFor is how long a request of [Client.Watch] waits. Proxies that end a connection after a
// minute of silence do not end it.
const watchFor = 50 * time.Second

// WatchOnce returns the version of an alias's key as soon as it differs from known, and after
// timeout the one that it is. With known "", it returns the version at once.
func (c *Client) WatchOnce(ctx context.Context, alias, known string, timeout time.Duration) (WatchResponse, error) {
	query := url.Values{"alias": {alias}, "timeout": {timeout.String()}}
	if known != "" {
		query.Set("version", known)
	}
	var answer WatchResponse
	_, err := c.once(ctx, http.MethodGet, RouteWatch+"?"+query.Encode(), nil, &answer)
	return answer, err
}

// Watch yields the version of an alias's key, and then each other version, until ctx ends or the
// loop is left. An error is yielded too: after one that may pass, such as that of a vault that
// cannot be reached, the loop may go on, and Watch asks again with growing intervals.
//
//	for version, err := range client.Watch(ctx, "orders") {
//		if err != nil {
//			log.Print(err) // and keep the key that you have
//			continue
//		}
//		key, err := client.ReleaseKey(ctx, api.ReleaseRequest{Alias: "orders", Version: version.Version})
//		…
//	}
func (c *Client) Watch(ctx context.Context, alias string) iter.Seq2[WatchResponse, error] {
	return func(yield func(WatchResponse, error) bool) {
		known := ""
		for failures := 0; ctx.Err() == nil; {
			answer, err := c.WatchOnce(ctx, alias, known, watchFor)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				failures++
				if !yield(WatchResponse{}, fmt.Errorf("watching %q: %w", alias, err)) || sleep(ctx, waitToWatch(failures, err)) != nil {
					return
				}
				continue
			}
			failures = 0
			if answer.Version != known {
				known = answer.Version
				if !yield(answer, nil) {
					return
				}
			}
		}
	}
}

// waitToWatch returns the wait after a number of failures in a row.
func waitToWatch(failures int, err error) time.Duration {
	wait := doubled(firstBackOff, failures)
	if refused, ok := errors.AsType[*Error](err); ok {
		const refusedWait = 30 * time.Second // a refusal passes when somebody changes something
		wait = max(wait, refused.RetryAfter)
		if refused.Status < http.StatusInternalServerError {
			wait = max(wait, refusedWait/2+rand.N(refusedWait/2)) //nolint:gosec // jitter is no secret
		}
	}
	return wait
}

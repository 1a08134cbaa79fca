package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"skr/attest/vcek"
	"skr/internal/check"
	"skr/internal/refusal"
)

// lookAtCaches asks the places of the host's certificate cache as a release does, until one
// has the certificate. A failure is a warning, because the certificate may also come from
// another source: the check "report" fails if it does not.
func (e *examination) lookAtCaches(ctx context.Context) (check.Result, error) {
	if len(e.Caches) == 0 {
		return skip("certificate_sources does not name thim")
	}
	var failed []string
	for _, cache := range e.Caches {
		err := e.lookAtCache(ctx, cache)
		switch {
		case err != nil:
			failed = append(failed, cache.place()+": "+failureOf(err))
		case len(failed) > 0:
			return warn(e.fixOfCaches(), "%s has this machine's certificate; asked before: %s", cache.place(), strings.Join(failed, "; "))
		default:
			return good("%s has this machine's certificate", cache.place())
		}
	}
	return warn(e.fixOfCaches(), "this machine's certificate is not at %s", strings.Join(failed, "; "))
}

// lookAtCache leaves time for the other places.
func (e *examination) lookAtCache(ctx context.Context, cache Cache) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout/time.Duration(len(e.Caches)))
	defer cancel()
	chain, err := cache.Source.Chain(ctx, vcek.WantedBy(e.report))
	if err != nil {
		return err
	}
	return chain.Endorses(e.report)
}

// place returns the address with what leads there.
func (c Cache) place() string {
	if c.URL == "" {
		return c.From
	}
	return c.URL + " (" + c.From + ")"
}

// failureOf returns the reason for people. The sources' own errors hold no secret.
func failureOf(err error) string {
	if found := stage(err); found != "" {
		return found
	}
	if refused, ok := errors.AsType[*refusal.Error](err); ok && refused.Reason != "" {
		return refused.Reason
	}
	return err.Error()
}

// fixOfCaches returns what to do if a place fails.
func (e *examination) fixOfCaches() string {
	if len(e.Caches) == 1 && strings.HasPrefix(e.Caches[0].From, "thim_url") {
		return "correct thim_url, or leave it out, so that skr detects the place"
	}
	return "set thim_url to the certificate cache of this host; nothing if the check report succeeded and the firmware is not updated"
}

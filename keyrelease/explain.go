package keyrelease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/releasepolicy"
)

const (
	// explainTimeout bounds how long an explanation delays a refusal.
	explainTimeout = 5 * time.Second
	// describedAge is how long a vault's description of a key, or its refusal to
	// describe it, serves further refusals.
	describedAge = time.Minute
	// maxDescribed bounds the descriptions that are kept for one caller.
	maxDescribed = 64
)

// Describer reads the attributes and the release policy of a key.
type Describer interface {
	// Describe reads them with an access token. Its error is a refusal.
	Describe(ctx context.Context, key hsm.KeyID, access secmem.Text) (*hsm.Description, error)
}

// explainer finds out why a vault refused a release.
type explainer struct {
	describer Describer
	now       func() time.Time

	mu   sync.Mutex
	kept *cache.Cache[question, described]
}

func newExplainer(describer Describer, now func() time.Time) *explainer {
	return &explainer{describer: describer, now: now, kept: cache.New[question, described](maxDescribed)}
}

// described is what the vault answered for one access token. It is never used for
// another token: a caller that may not read a key must not learn about it from a caller
// that may.
type described struct {
	key  *hsm.Description
	err  error
	at   time.Time
	ends time.Time // when that token expires; zero if unknown
}

// explain adds to the vault's refusal which conditions of the key's release policy the
// attestation does not meet, or why that is unknown. It returns any other error unchanged.
func (e *explainer) explain(ctx context.Context, req Request, result *attest.Result, access secmem.Text, err error) error {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != refusal.ReleaseRejected || e.describer == nil {
		return err
	}
	explained := *refused
	key, unknown := e.describe(ctx, req, access)
	if unknown != nil {
		if why := publicReason(unknown); why != explained.Reason {
			explained.Reason += "; skr cannot tell more, because " + why
		}
		explained.Reason += attest.Sentences(missed(result.Omitted, nil, false))
		return &explained
	}
	reason, unmet := Compare(key, req.Authority, result)
	explained.Reason += "; " + reason + attest.Sentences(missed(result.Omitted, unmet, true))
	if unmet == nil {
		return &explained
	}
	return &UnmetError{&explained, unmet}
}

// Compare returns in one sentence what prevents the release of key for result, and the
// conditions that are not met.
func Compare(key *hsm.Description, authority attest.Authority, result *attest.Result) (reason string, unmet []releasepolicy.Outcome) {
	if obstacle := key.Obstacle(); obstacle != "" {
		return obstacle, nil
	}
	for _, c := range key.Policy.Evaluate(authority.Issuer(), result.Claims.Members()).Unmet() {
		unmet = append(unmet, repeat(c))
	}
	if unmet == nil {
		return "as far as skr can tell, the key's release policy is met", nil
	}
	reason = "not met is: " + Sentence(unmet[0])
	if more := len(unmet) - 1; more > 0 {
		reason += fmt.Sprintf("; and %d more", more)
	}
	return reason, unmet
}

// Sentence describes an unmet condition in words.
func Sentence(u releasepolicy.Outcome) string {
	text := fmt.Sprintf("%s %s %q", u.Claim, u.Operator, u.Value.Text)
	if u.Absent {
		return text + ", and there is no such claim"
	}
	return text + fmt.Sprintf(", and it is %q", u.Actual)
}

func publicReason(err error) string {
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		return refused.Reason
	}
	return "the vault could not be asked for the key's policy in time"
}

// describe asks the vault and keeps its answer for describedAge. It does not keep the
// error of a deadline or an outage, which says nothing about the key.
func (e *explainer) describe(ctx context.Context, req Request, access secmem.Text) (*hsm.Description, error) {
	asked := Request{Key: req.Key, Access: access}.question()
	if kept, ok := e.lookUp(ctx, asked); ok {
		return kept.key, kept.err
	}
	caller := cache.Caller(ctx)
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	key, err := e.describer.Describe(ctx, req.Key, access)
	if err == nil || ctx.Err() == nil && !passing(err) {
		ends, _ := expiryOf(access)
		e.keep(caller, asked, described{key, err, e.now(), ends})
	}
	return key, err
}

func (e *explainer) lookUp(ctx context.Context, asked question) (described, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept, ok := e.kept.Get(cache.Caller(ctx), asked)
	now := e.now()
	age := now.Sub(kept.at)
	return kept, ok && age >= 0 && age < describedAge && (kept.ends.IsZero() || now.Before(kept.ends))
}

func (e *explainer) keep(caller string, asked question, d described) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept.Put(caller, asked, d)
}

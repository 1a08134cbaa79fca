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
	// explainTimeout bounds how much later a refusal comes for being explained.
	explainTimeout = 5 * time.Second
	// describedAge is how long a vault's description of a key, or that there is
	// none, serves further refusals.
	describedAge = time.Minute
	// maxDescribed bounds the descriptions that are kept for one caller.
	maxDescribed = 64
)

// Describer tells what a vault keeps of a key.
type Describer interface {
	// Describe reads the key with an access token. Its error is a refusal.
	Describe(ctx context.Context, key hsm.KeyID, access secmem.Text) (*hsm.Description, error)
}

// explainer finds out why a vault refused.
type explainer struct {
	describer Describer
	now       func() time.Time

	mu   sync.Mutex
	held *cache.Cache[question, described]
}

func newExplainer(describer Describer, now func() time.Time) *explainer {
	return &explainer{describer: describer, now: now, held: cache.New[question, described](maxDescribed)}
}

// described is what was learnt of a key with one access token: who may not read
// a key does not learn of it through somebody who may, or could once.
type described struct {
	key  *hsm.Description
	err  error
	at   time.Time
	ends time.Time // of that token, as far as it is known; else zero
}

// explain adds to the vault's refusal which conditions of the key's release
// policy the attestation does not meet, or why that cannot be told. Another error
// stays as it is.
func (e *explainer) explain(ctx context.Context, req Request, result *attest.Result, access secmem.Text, err error) error {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != refusal.ReleaseRejected || e.describer == nil {
		return err
	}
	told := *refused
	key, unread := e.describe(ctx, req, access)
	if unread != nil {
		if why := publicReason(unread); why != told.Reason {
			told.Reason += "; skr cannot tell more, because " + why
		}
		told.Reason += attest.Sentences(missed(result.Omitted, nil, false))
		return &told
	}
	reason, unmet := Compare(key, req.Authority, result, e.now())
	told.Reason += "; " + reason + attest.Sentences(missed(result.Omitted, unmet, true))
	if unmet == nil {
		return &told
	}
	return &UnmetError{&told, unmet}
}

// Compare says in one sentence what keeps key from being released to who shows
// result, and lists the conditions that are not met.
func Compare(key *hsm.Description, authority attest.Authority, result *attest.Result, now time.Time) (reason string, unmet []releasepolicy.Outcome) {
	if obstacle := key.Obstacle(now); obstacle != "" {
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

// Sentence says in words what is not met.
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

// describe asks the vault, and keeps what it says for describedAge. That there was no
// answer in the caller's time says nothing of the key, and is not kept.
func (e *explainer) describe(ctx context.Context, req Request, access secmem.Text) (*hsm.Description, error) {
	asked := Request{Key: req.Key, Access: access}.question()
	if held, ok := e.lookUp(ctx, asked); ok {
		return held.key, held.err
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
	held, ok := e.held.Get(cache.Caller(ctx), asked)
	now := e.now()
	age := now.Sub(held.at)
	return held, ok && age >= 0 && age < describedAge && (held.ends.IsZero() || now.Before(held.ends))
}

func (e *explainer) keep(caller string, asked question, d described) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held.Put(caller, asked, d)
}

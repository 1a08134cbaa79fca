package follow

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/refusal"
)

const (
	firstRetry = time.Second
	// leastLimit and mostLimit bound the longest wait after failures, which is Every between them.
	leastLimit = 30 * time.Second
	mostLimit  = 5 * time.Minute
)

// followed is an alias.
type followed struct {
	name  string
	held  bool
	woken chan struct{} // gets a value when interest begins

	mu          sync.Mutex
	interest    int // of those who wait, and 1 if held
	current     bool
	seen        Version // zero before the first release
	key         *hsm.Key
	err         error // of the last release
	failures    int   // in a row
	next        time.Time
	changed     chan struct{} // closed and replaced with each news
	subscribers []chan struct{}
}

// state is a copy of what Wait needs.
type state struct {
	current bool
	seen    Version
	err     error
	changed chan struct{}
}

func (k *followed) state() state {
	k.mu.Lock()
	defer k.mu.Unlock()
	return state{k.current, k.seen, k.err, k.changed}
}

// last is the answer if nothing changed in time.
func (s state) last(known string) (Version, error) {
	switch {
	case s.seen.Version != "" && (known == "" || s.seen.Version == known):
		return s.seen, nil
	case s.err != nil:
		return Version{}, s.err
	}
	return Version{}, refusal.Newf(refusal.Timeout, "the key was not released in time; wait longer")
}

func (k *followed) enter() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.interest++; k.interest > 1 {
		return
	}
	if !time.Now().Before(k.next) {
		k.current, k.err = false, nil // it may have been rotated or repaired meanwhile
	}
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

func (k *followed) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interest--
}

// due returns how long to wait for the next release, and whether there should be one.
func (k *followed) due() (wait time.Duration, wanted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Until(k.next), k.interest > 0
}

// follow releases the key when it is due, until ctx ends.
func (f *Follower) follow(ctx context.Context, k *followed) {
	for {
		wait, wanted := k.due()
		switch {
		case !wanted:
			select {
			case <-ctx.Done():
				return
			case <-k.woken:
			}
		case wait > 0:
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		default:
			f.ask(ctx, k)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// ask releases the key once.
func (f *Follower) ask(ctx context.Context, k *followed) {
	trying, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	var key *hsm.Key
	err := crash.Guard(func() (err error) {
		key, err = f.config.Release(trying, k.name)
		return err
	})
	defer key.Wipe()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		f.failed(k, err)
		return
	}
	if k.succeeded(key, early(f.config.Every)) {
		f.config.Logger.Info("the key of an alias is released again", "alias", k.name, "key", key.ID())
	}
}

// failed schedules another attempt. A failure does not change what was seen.
func (f *Follower) failed(k *followed, err error) {
	k.mu.Lock()
	news := k.failures == 0
	k.failures++
	k.err = err
	wait := retryIn(k.failures, f.config.Every, err)
	k.next = time.Now().Add(wait)
	k.tell()
	k.mu.Unlock()
	level := f.config.Logger.Debug
	if news {
		level = f.config.Logger.Warn
	}
	level("the key of an alias cannot be released; files and watchers keep the version that they have",
		"alias", k.name, "error", err.Error(), "retry_in", wait.Round(time.Millisecond).String())
}

// succeeded reports whether the release before had failed.
func (k *followed) succeeded(key *hsm.Key, wait time.Duration) (again bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	again = k.failures > 0
	k.failures, k.err, k.next = 0, nil, time.Now().Add(wait)
	k.note(key, again)
	return again
}

func (k *followed) saw(key *hsm.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note(key, false)
}

// note keeps what is new about a released key. mu is held.
func (k *followed) note(key *hsm.Key, again bool) {
	version := Version{key.ID(), key.Version()}
	news := again || !k.current || k.seen != version
	if k.held && (k.key == nil || k.seen != version) {
		k.key.Wipe()
		k.key = key.Clone()
	}
	k.seen, k.current = version, true
	if news {
		k.tell()
	}
}

// tell wakes all that wait. mu is held.
func (k *followed) tell() {
	close(k.changed)
	k.changed = make(chan struct{})
	for _, news := range k.subscribers {
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

func (k *followed) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.key.Wipe()
	k.key = nil
}

// early returns 75 to 90 percent of every, at random.
func early(every time.Duration) time.Duration { return every*3/4 + rand.N(every*3/20+1) } //nolint:gosec // spreads load, keeps no secret

// retryIn returns the wait after a number of failures in a row, the second half of it at random. It
// is not shorter than what the service asked for.
func retryIn(failures int, every time.Duration, err error) time.Duration {
	limit := min(max(every, leastLimit), mostLimit)
	wait := min(firstRetry<<min(failures-1, 16), limit)
	wait = wait/2 + rand.N(wait/2+1) //nolint:gosec // as in early
	if refused, ok := errors.AsType[*refusal.Error](err); ok && refused.RetryAfter > 0 {
		return refused.RetryAfter + wait
	}
	return wait
}

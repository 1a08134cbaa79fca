package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skr/internal/refusal"
)

// Patience is how to wait until a vault has completed a change: a Key Vault takes some seconds to
// delete and to recover a key.
type Patience struct {
	// Every is the time between two looks, also at a policy that was written. Zero means a second.
	Every time.Duration
	// Limit is when to give up. Zero means two minutes; a negative limit does not wait at all.
	Limit time.Duration
	// Progress is called before each pause with how long the wait has been. Nil disables it.
	Progress func(waited time.Duration)
	// Pause returns after a time, or with the error of the context. Nil uses a timer.
	Pause func(ctx context.Context, d time.Duration) error
}

func (p Patience) withDefaults() Patience {
	if p.Every <= 0 {
		p.Every = time.Second
	}
	if p.Limit == 0 {
		p.Limit = 2 * time.Minute
	}
	if p.Progress == nil {
		p.Progress = func(time.Duration) {}
	}
	if p.Pause == nil {
		p.Pause = pause
	}
	return p
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// ErrUnwatched means that the vault accepted a change and that this identity may not see whether
// it is complete.
var ErrUnwatched = errors.New("the change was accepted, and this identity may not watch it")

// await calls look until it finds what it looks for. It returns [refusal.Timeout] if that takes too
// long, and [ErrUnwatched] if the vault does not let this identity look.
func (v *Vault) await(ctx context.Context, change string, look func(context.Context) error) error {
	p := v.patience
	if p.Limit < 0 {
		return nil
	}
	for waited := time.Duration(0); ; waited += p.Every {
		err := look(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, refusal.ManagementRejected):
			return fmt.Errorf("%w: %w", ErrUnwatched, err)
		case !errors.Is(err, refusal.KeyNotFound):
			return fmt.Errorf("%s was accepted; waiting for it: %w", change, err)
		case waited >= p.Limit:
			return refusal.Newf(refusal.Timeout, "the vault accepted %s and has not completed it after %s; look again later with skrctl key list", change, waited)
		}
		p.Progress(waited)
		if err := p.Pause(ctx, p.Every); err != nil {
			return fmt.Errorf("%s was accepted; waiting for it: %w", change, err)
		}
	}
}

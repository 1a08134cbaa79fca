package tpm

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// ErrBusy means that the TPM serves others, also after retries: the same question
// may be answered in a moment.
var ErrBusy = errors.New("the TPM is busy with the requests of others")

// errTurnedAway means that no command was answered: an agent, or a TPM that serves one
// connection at a time, has no place for another.
var errTurnedAway = errors.New("the connection was closed before the first answer")

// busyCodes are those after which the same command may succeed (part 2, 6.6.3): the
// TPM asks for a retry, or others hold its few slots for a moment.
var busyCodes = []tpm2.TPMRC{
	tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate, tpm2.TPMRCNVUnavailable,
	tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCMemory, tpm2.TPMRCSessionHandles, tpm2.TPMRCObjectHandles,
}

const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
	// busyPatience is how long an operation asks a busy TPM again. Operations take
	// milliseconds; the longest command takes a tenth of a second.
	busyPatience = 5 * time.Second
)

// isBusy reports whether err goes away by itself. EBUSY is of /dev/tpm0, which one
// process at a time may open, EAGAIN of a socket with a full queue.
func isBusy(err error) bool {
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EAGAIN) || errors.Is(err, errTurnedAway) {
		return true
	}
	for _, code := range busyCodes {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// patiently asks again while the TPM is busy. After x's patience, or where ctx ends
// before the next attempt, the error is [ErrBusy].
func patiently[R any](x *exchange, ask func() (R, error)) (R, error) {
	return retry(x.ctx, x.patience, ask)
}

func retry[R any](ctx context.Context, patience time.Duration, ask func() (R, error)) (R, error) {
	until := time.Now().Add(patience)
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		answer, err := ask()
		if err == nil || !isBusy(err) {
			return answer, err
		}
		if time.Now().Add(pause).After(until) || endsWithin(ctx, pause) {
			return answer, fmt.Errorf("%w: %w", ErrBusy, err)
		}
		if stopped := sleep(ctx, pause); stopped != nil {
			return answer, stopped
		}
	}
}

// endsWithin reports whether the deadline of ctx comes before the pause is over.
func endsWithin(ctx context.Context, pause time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return limited && time.Until(deadline) <= pause
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

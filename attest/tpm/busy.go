package tpm

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// ErrBusy means that the TPM serves other processes, also after retries. A later attempt may
// succeed.
var ErrBusy = errors.New("the TPM is busy with the requests of others")

// errTurnedAway means that the connection was closed before any answer, because an agent or a
// TPM that serves one connection at a time accepts no other.
var errTurnedAway = errors.New("the connection was closed before the first answer")

// busyCodes are the codes after which the same command may succeed (part 2, 6.6.3): the TPM
// asks for a retry, or other processes use its few slots.
var busyCodes = []tpm2.TPMRC{
	tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate, tpm2.TPMRCNVUnavailable,
	tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCMemory, tpm2.TPMRCSessionHandles, tpm2.TPMRCObjectHandles,
}

const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
	// busyPatience is how long an operation retries with a busy TPM. Operations take
	// milliseconds. The longest command takes a tenth of a second.
	busyPatience = 5 * time.Second
)

// isBusy reports whether err is temporary. /dev/tpm0 returns EBUSY, because only one process
// may open it. A socket with a full queue returns EAGAIN.
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

// patiently retries while the TPM is busy. The error is [ErrBusy] after x's patience, or if
// ctx ends before the next attempt.
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

// endsWithin reports whether the deadline of ctx is before the end of the pause.
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

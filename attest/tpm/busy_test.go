package tpm

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/sys/unix"

	"skr/test/swtpm"
)

// Each code of a busy TPM is retried. If it persists, the error is ErrBusy.
func TestBusyTPM(t *testing.T) {
	var code atomic.Uint32
	var left atomic.Int32
	opened, _ := start(t, swtpm.Config{Fault: func(tpm2.TPMCC, tpm2.TPMHandle, tpm2.TPMHandle) tpm2.TPMRC {
		if left.Add(-1) < 0 {
			return tpm2.TPMRCSuccess
		}
		return tpm2.TPMRC(code.Load())
	}})
	for _, busy := range busyCodes {
		code.Store(uint32(busy))
		left.Store(2)
		if _, err := opened.AK(t.Context()); err != nil {
			t.Errorf("%s, twice: error %v", busy, err)
		}
		left.Store(1 << 20)
		impatient := &TPM{address: opened.address, dial: opened.dial, turn: opened.turn, report: opened.report}
		if _, err := impatient.AK(t.Context()); !errors.Is(err, ErrBusy) || !errors.Is(err, busy) {
			t.Errorf("%s, always: error %v", busy, err)
		}
	}
	code.Store(uint32(tpm2.TPMRCLockout))
	if _, err := opened.AK(t.Context()); err == nil || errors.Is(err, ErrBusy) {
		t.Errorf("a lockout counts as busy: error %v", err)
	}
	left.Store(0)
}

// A device that another process has open and a connection that closes at once are
// retried, up to the limits of patience and the request's deadline.
func TestRetry(t *testing.T) {
	for name, fault := range map[string]error{"opened elsewhere": unix.EBUSY, "full queue": unix.EAGAIN, "closed at once": errTurnedAway} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			again := func() (int, error) {
				if attempts++; attempts < 4 {
					return 0, fault
				}
				return attempts, nil
			}
			if got, err := retry(t.Context(), time.Second, again); got != 4 || err != nil {
				t.Errorf("%s: attempt %d, error %v", name, got, err)
			}
			never := func() (int, error) { return 0, fault }
			begun := time.Now()
			if _, err := retry(t.Context(), time.Second, never); !errors.Is(err, ErrBusy) || time.Since(begun) > time.Second {
				t.Errorf("%s: error %v after %s", name, err, time.Since(begun))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := retry(ctx, time.Hour, never); !errors.Is(err, ErrBusy) || ctx.Err() != nil {
				t.Errorf("%s: the request's deadline has passed: error %v, %v", name, err, ctx.Err())
			}
			cancelled, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			if _, err := retry(cancelled, time.Hour, never); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: cancelled: error %v", name, err)
			}
		})
	}
}

// An operation starts again if the connection was turned away, and does not start again
// after a first answer.
func TestTurnedAway(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{})
	opened, err := Open(machine.Address())
	if err != nil {
		t.Fatal(err)
	}
	dial, dialled := opened.dial, 0
	opened.dial = func(ctx context.Context) (link, error) {
		if dialled++; dialled > 3 {
			return dial(ctx)
		}
		ours, theirs := net.Pipe()
		go func() { // reads the command and closes without an answer
			_, _ = io.ReadFull(theirs, make([]byte, headerSize+4))
			_ = theirs.Close()
		}()
		return ours, nil
	}
	if _, err := opened.AK(t.Context()); err != nil || dialled != 4 {
		t.Errorf("%d connections, error %v", dialled, err)
	}
	cut := saying([]byte("\x80\x01\x00\x00\x00\x0a\x00\x00\x00\x00")) // one answer, then EOF
	cut.patience = time.Hour
	if _, err := cut.Quote(t.Context(), boot(t), nil); err == nil || errors.Is(err, ErrBusy) {
		t.Errorf("cut off: error %v", err)
	}
}

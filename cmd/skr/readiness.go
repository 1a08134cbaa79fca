package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"skr/attest"
)

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

var errStarting = errors.New("starting: no evidence has been collected yet")

// readiness is reached when this machine has once proved to itself what it is:
// a report was made and verified against its certificates. This also brings the
// certificates in before the first request needs them.
type readiness struct {
	attester *attest.Attester
	timeout  time.Duration // of one attempt
	log      *slog.Logger
	failure  atomic.Pointer[error]
}

func newReadiness(attester *attest.Attester, timeout time.Duration, log *slog.Logger) *readiness {
	r := &readiness{attester: attester, timeout: timeout, log: log}
	r.failure.Store(&errStarting)
	return r
}

// err says why the sidecar is not ready; nil when it is.
func (r *readiness) err() error {
	if failure := r.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// await tries until the evidence is there or ctx ends.
func (r *readiness) await(ctx context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := r.try(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			return
		}
		r.failure.Store(&err)
		r.log.Warn("not ready", "error", err.Error(), "retry_in", wait.String())
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (r *readiness) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	evidence, err := r.attester.Evidence(ctx, []byte("{}"))
	if err != nil {
		return err
	}
	r.failure.Store(nil)
	r.log.Info("ready", "tcb", evidence.Chain.TCB().String(), "hostdata", evidence.Report.HostData().String())
	return nil
}

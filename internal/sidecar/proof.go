package sidecar

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync/atomic"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/internal/crash"
	"skr/internal/refusal"
)

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

var errStarting = refusal.Newf(refusal.NoEvidence, "skr has just started and has collected none yet")

// proof is reached when this machine has once proved to itself what it is:
// a report was made and verified against its certificates. This also brings the
// certificates in before the first request needs them.
type proof struct {
	attester *attest.Attester
	policy   []byte        // the CCE policy as it is mounted; nil if it is not
	faults   *faults       // of optional parts
	timeout  time.Duration // of one attempt
	started  func()        // called once it is reached
	log      *slog.Logger
	failure  atomic.Pointer[error]
}

func newProof(parts *Parts, timeout time.Duration, started func(), log *slog.Logger) *proof {
	r := &proof{attester: parts.Attester, policy: parts.Context.Policy, faults: parts.Faults, timeout: timeout, started: started, log: log}
	r.failure.Store(&errStarting)
	return r
}

// err says why the sidecar is not ready; nil when it is.
func (r *proof) err() error {
	if failure := r.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// await tries until the evidence is there or ctx ends.
func (r *proof) await(ctx context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := crash.Guard(func() error { return r.try(ctx) })
		if err == nil {
			r.started()
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

func (r *proof) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	evidence, err := r.attester.Evidence(ctx, nil)
	if err != nil {
		return err
	}
	r.tell(ctx, evidence)
	r.failure.Store(nil) // last: whoever waits for it finds the log complete
	return nil
}

// tell says what this machine turned out to be.
func (r *proof) tell(ctx context.Context, evidence *attest.Evidence) {
	platform, _ := r.attester.Platform(ctx) // known by now
	line := []any{"platform", platform.String(), "source", r.attester.String()}
	for _, o := range evidence.Omitted {
		if r.faults.Add(o.Part, o.Err) {
			r.log.Warn("the evidence goes without an optional part", "part", o.Part, "error", o.Err.Error(), "fix", FixOf[o.Part])
		}
	}
	if evidence.Report != nil {
		r.tellRemark(evidence.Chain.Remark())
		line = append(line, "tcb", evidence.Chain.TCB().String(), "hostdata", evidence.Report.HostData().String())
	}
	if evidence.Guest == nil {
		r.comparePolicy(evidence.Report.HostData())
	}
	r.log.Info("ready", line...)
}

// tellRemark warns of a certificate document that contradicts its own certificate,
// which counts.
func (r *proof) tellRemark(remark string) {
	if remark != "" {
		r.log.Warn("the certificate document describes another TCB than its certificate; the certificate counts", "remark", remark)
	}
}

// comparePolicy warns of a mounted policy that is not the one that this machine
// enforces. No decision rests on the file: HOST_DATA is what is attested.
func (r *proof) comparePolicy(enforced snp.HostData) {
	if r.policy == nil {
		return
	}
	if mounted := snp.HostData(sha256.Sum256(r.policy)); mounted != enforced {
		r.log.Warn("the mounted security policy is not the one that this machine enforces; release policies see the latter",
			"mounted", mounted.String(), "hostdata", enforced.String())
	}
}

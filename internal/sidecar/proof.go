package sidecar

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/internal/crash"
	"skr/internal/refusal"
)

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

var errStarting = refusal.Newf(refusal.NoEvidence, "skr is starting and has not collected any yet")

// proof collects evidence of this machine once and verifies it against its certificates. Then skr is
// ready. This also fetches the certificates before the first request needs them.
type proof struct {
	attester *attest.Attester
	policy   []byte        // the mounted CCE policy; nil if there is none
	faults   *faults       // of optional parts
	timeout  time.Duration // of one attempt
	started  func()        // called on success
	log      *slog.Logger
	failure  atomic.Pointer[error]
}

func newProof(parts *Parts, timeout time.Duration, started func(), log *slog.Logger) *proof {
	r := &proof{attester: parts.Attester, policy: parts.Context.Policy, faults: parts.Faults, timeout: timeout, started: started, log: log}
	r.failure.Store(&errStarting)
	return r
}

// err returns why the sidecar is not ready, or nil.
func (r *proof) err() error {
	if failure := r.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// await retries until there is evidence or ctx ends.
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
	r.logMachine(ctx, evidence)
	r.failure.Store(nil) // last, so that the log is complete when skr is ready
	return nil
}

// logMachine logs what this machine is.
func (r *proof) logMachine(ctx context.Context, evidence *attest.Evidence) {
	platform, _ := r.attester.Platform(ctx) // known after Evidence
	line := []any{"platform", platform.String(), "source", r.attester.String()}
	for _, o := range evidence.Omitted {
		if r.faults.Add(o.Part, o.Err) {
			r.log.Warn("the evidence lacks an optional part", "part", o.Part, "error", o.Err.Error(), "fix", FixOf[o.Part])
		}
	}
	if evidence.Report != nil {
		r.warnOfRemark(evidence.Chain.Remark())
		line = append(line, "tcb", evidence.Chain.TCB().String(), "hostdata", evidence.Report.HostData().String())
	}
	if evidence.TDQuote != nil {
		line = append(line, "tcb", tcbOf(evidence.TDResult), "mrtd", evidence.TDQuote.MRTD().String())
	}
	if evidence.Guest == nil && evidence.Report != nil {
		r.comparePolicy(evidence.Report.HostData())
	}
	r.log.Info("ready", line...)
}

// tcbOf returns the TCB level of a TDX machine, or that it was not looked at.
func tcbOf(result *tdx.Result) string {
	if result.Level == nil {
		return "not looked at: " + strings.Join(result.NotLookedAt, "; ")
	}
	return result.Level.String()
}

// warnOfRemark warns of a certificate document that contradicts its certificate. skr uses the certificate.
func (r *proof) warnOfRemark(remark string) {
	if remark != "" {
		r.log.Warn("the certificate document has a different TCB than its certificate; skr uses the certificate", "remark", remark)
	}
}

// comparePolicy warns if the mounted policy is not the one that this machine enforces. No decision
// depends on the file: HOST_DATA is attested.
func (r *proof) comparePolicy(enforced snp.HostData) {
	if r.policy == nil {
		return
	}
	if mounted := snp.HostData(sha256.Sum256(r.policy)); mounted != enforced {
		r.log.Warn("the mounted security policy is not the one that this machine enforces; release policies apply to the enforced one",
			"mounted", mounted.String(), "hostdata", enforced.String())
	}
}

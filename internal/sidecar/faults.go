package sidecar

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"skr/api"
	"skr/attest"
	"skr/internal/sidecar/doctor"
)

// Optional parts beside those of package attest. skr runs without them.
const (
	securityContext = "security context"
	securityPolicy  = "security policy"
	hostCertificate = "host certificate"
	wrapKeys        = "wrap_keys"
	opsListener     = "ops_listen"
	Traces          = "tracing"
)

// FixOf an optional part says what to do about it.
var FixOf = map[string]string{
	securityContext:       "mount the security context, or correct security_context_dir (UVM_SECURITY_CONTEXT_DIR)",
	securityPolicy:        "mount the file as the platform wrote it, or leave it out: nothing rests on it",
	hostCertificate:       "mount the file as the platform wrote it, or leave it out: the other certificate_sources serve",
	attest.UVMEndorsement: "mount the security context of this machine, as the platform wrote it: without its endorsement tokens have no compliance status",
	attest.EventLog:       "let the container read event_log, or take it from `skr agent`: without the log tokens do not say that secure boot is on",
	attest.AKCertificate:  "nothing: on a confidential VM the processor vouches for the key",
	wrapKeys:              "make the directory and its files readable; until then the key provider wraps nothing",
	opsListener:           "use an address that is free and this machine's; until then nothing answers probes and Prometheus",
	Traces:                "correct the OTEL_* variable; until then no request is traced",
}

// faults are the optional parts that cannot be used. It is safe for concurrent use.
type faults struct {
	mu  sync.Mutex
	all []doctor.Problem // no part twice
}

// Add reports whether the part was not known to be unusable. A nil error adds nothing.
func (f *faults) Add(part string, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil || slices.ContainsFunc(f.all, func(p doctor.Problem) bool { return p.Part == part }) {
		return false
	}
	f.all = append(f.all, doctor.Problem{Part: part, Reason: fmt.Sprintf("%.400s", err), Fix: FixOf[part]})
	return true
}

func (f *faults) list() []doctor.Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// problems is the list for callers.
func (f *faults) problems() (problems []api.Problem) {
	for _, p := range f.list() {
		problems = append(problems, api.Problem{Part: p.Part, Problem: p.Reason})
	}
	return problems
}

// tell logs the faults of these parts, or of all.
func (f *faults) tell(log *slog.Logger, parts ...string) {
	for _, p := range f.list() {
		if len(parts) == 0 || slices.Contains(parts, p.Part) {
			log.Warn("an optional part cannot be used; skr runs without it", "part", p.Part, "error", p.Reason, "fix", p.Fix)
		}
	}
}

// TellMachine logs what is wrong with the parts that say what this machine is, for a
// command that asks it.
func (p *Parts) TellMachine() {
	p.Faults.tell(p.log, securityContext, securityPolicy, hostCertificate, attest.UVMEndorsement)
	p.tellIssuer(p.log)
}

// tellIssuer warns of an endorsement that is not Microsoft's. On silicon that is not
// AMD's there is no other.
func (p *Parts) tellIssuer(log *slog.Logger) {
	if e := p.Context.Endorsement; e != nil && !e.KnownIssuer() && !p.otherSilicon {
		log.Warn("the UVM endorsement is not by an issuer known to this version; whether it counts is for the authority to say",
			"issuer", e.Issuer(), "feed", e.Feed(), "svn", e.GuestSVN())
	}
}

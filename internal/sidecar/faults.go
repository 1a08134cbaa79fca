package sidecar

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"skr/api"
	"skr/attest"
	"skr/internal/config"
	"skr/internal/sidecar/doctor"
)

// Optional parts, in addition to those of package attest. skr runs without them.
const (
	securityContext = "security context"
	securityPolicy  = "security policy"
	hostCertificate = "host certificate"
	wrapKeys        = "wrap_keys"
	opsListener     = "ops_listen"
	Traces          = "tracing"

	certificateCache = "certificate cache"
	tdxCollateral    = "TDX collateral"
)

// FixOf returns what to do about a fault of an optional part.
var FixOf = map[string]string{
	securityContext: "mount the security context, or correct security_context_dir (UVM_SECURITY_CONTEXT_DIR)",
	securityPolicy:  "mount the file as the platform wrote it, or leave it out: no decision depends on it",
	hostCertificate: "mount the file as the platform wrote it, or leave it out: skr uses the other certificate_sources",
	certificateCache: "on virtual nodes, set VN2_THIM_ENDPOINT to " + config.VirtualNodePlaceholder + ", and elsewhere remove it; " +
		"Fabric_NodeIPOrFQDN is the platform's: until then skr asks other places for certificates",
	attest.UVMEndorsement: "mount the security context of this machine, as the platform wrote it: without its endorsement, tokens have no compliance status",
	attest.EventLog:       "let the container read event_log, or get it from `skr agent`: without the log, tokens do not say that secure boot is on",
	attest.AKCertificate:  "nothing: on a confidential VM the processor vouches for the key",
	tdxCollateral:         "see which of collateral_sources failed; until then skr does not know the TCB level and revocations, and refuses if tcb_status is set",
	wrapKeys:              "make the directory and its files readable; until then the key provider cannot wrap",
	opsListener:           "use a free address of this machine; until then probes and Prometheus get no answer",
	Traces:                "correct the OTEL_* variable; until then there are no traces",
	doctor.PodStart:       uncalledFix,
}

// FixFor returns what to do about a problem of the status.
func FixFor(part string) string {
	if strings.HasPrefix(part, sinkPart) {
		return sinkFix
	}
	return FixOf[part]
}

// faults lists the optional parts that cannot be used. It is safe for concurrent use.
type faults struct {
	mu  sync.Mutex
	all []doctor.Problem // at most one for each part
}

// Add adds a fault. It reports whether it is the first of the part. A nil error adds nothing.
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

// problems returns the optional parts that cannot be used now.
func (p *Parts) problems() []doctor.Problem {
	all := p.Faults.list()
	if err := p.quotes.Problem(); err != nil {
		all = append(all, doctor.Problem{Part: tdxCollateral, Reason: fmt.Sprintf("%.400s", err), Fix: FixOf[tdxCollateral]})
	}
	return all
}

// told returns problems in the form for callers.
func told(all []doctor.Problem) (problems []api.Problem) {
	for _, p := range all {
		problems = append(problems, api.Problem{Part: p.Part, Problem: p.Reason})
	}
	return problems
}

// log logs the faults of these parts, or of all.
func (f *faults) log(logger *slog.Logger, parts ...string) {
	for _, p := range f.list() {
		if len(parts) == 0 || slices.Contains(parts, p.Part) {
			logger.Warn("an optional part cannot be used; skr runs without it", "part", p.Part, "error", p.Reason, "fix", p.Fix)
		}
	}
}

// WarnOfMachine logs faults of the parts that describe this machine, for commands that use it.
func (p *Parts) WarnOfMachine() {
	p.Faults.log(p.log, securityContext, securityPolicy, hostCertificate, certificateCache, attest.UVMEndorsement)
	p.warnOfIssuer(p.log)
}

// warnOfIssuer warns of an endorsement that is not from Microsoft, unless the silicon is not AMD's.
func (p *Parts) warnOfIssuer(log *slog.Logger) {
	if e := p.Context.Endorsement; e != nil && !e.KnownIssuer() && !p.otherSilicon {
		log.Warn("this version does not know the issuer of the UVM endorsement; the authority decides whether to accept it",
			"issuer", e.Issuer(), "feed", e.Feed(), "svn", e.GuestSVN())
	}
}

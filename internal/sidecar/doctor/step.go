package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"skr/internal/check"
	"skr/internal/refusal"
)

// The names of the checks, in their order.
const (
	optionalParts   = "optional-parts"    // an optional part that skr runs without, and why; one for each such part
	podStart        = "pod-start"         // appears only if nothing has called skr in the minute after its start
	reportSource    = "report-source"     // where reports come from, and whether one comes over random data
	report          = "report"            // the signature of the report or quote, and its certificates up to the root
	certificates    = "certificate-cache" // the places of the host's certificate cache
	tcb             = "tcb"               // the reported TCB against the running one; on TDX, the level and the revocation lists
	guestPolicy     = "guest-policy"      // whether the host may debug the machine
	securityContext = "security-context"  // the mounted policy and endorsement against what the hardware says
	measuredBoot    = "measured-boot"     // secure boot, and whether the event log explains the TPM's registers
	reach           = "reach"             // one request to each service: name, connection, certificate, answer
	clock           = "clock"             // this machine's clock against that of a service
	identity        = "identity"          // an access token for the vault
	attestation     = "attestation"       // an attestation token, and what it says of the machine
	key             = "key"               // whether the vault has the key, and the identity may read it
	exportable      = "exportable"        // whether the key's attributes permit a release
	releasePolicy   = "release-policy"    // each condition of the key's release policy against the token
	release         = "release"           // a release; the key is wiped
	allowLists      = "allow-lists"       // maa_allow and vault_allow
	sinkFiles       = "sinks"             // the directories, templates and envelopes of sinks
	localAPI        = "local-api"         // a sidecar that runs here, whether it is ready, and its problems
)

// step is one check of an examination.
type step struct {
	name, subject string
	// needs are steps, for this subject or for the machine, that must have been made and
	// not failed.
	needs []string
	// after are steps that must not have failed.
	after []string
	// look returns an error if a party refused, and a result otherwise.
	look func(context.Context) (check.Result, error)
}

// blocked returns the name of a step that keeps this one from being made, or "".
func (s step) blocked(before []check.Result) string {
	for _, r := range before {
		if r.Subject != "" && r.Subject != s.subject {
			continue
		}
		needed, after := slices.Contains(s.needs, r.Name), slices.Contains(s.after, r.Name)
		if r.Outcome == check.Failed && (needed || after) || r.Outcome == check.Skipped && needed {
			return r.Name
		}
	}
	return ""
}

func (e *examination) steps() []step {
	all := append(e.partSteps(), e.machineSteps()...)
	for _, endpoint := range e.Endpoints {
		all = append(all, e.endpointSteps(endpoint)...)
	}
	for _, target := range e.Targets {
		all = append(all, e.targetSteps(target)...)
	}
	if len(e.Targets) == 0 {
		all = append(all, step{name: key, look: func(context.Context) (check.Result, error) {
			return skip("no key was named: name one with --alias, or with --authority, --vault and --key")
		}})
	}
	all = append(all, step{name: allowLists, look: e.lookAtLists})
	if e.Sinks != nil {
		all = append(all, step{name: sinkFiles, look: e.lookAtSinks})
	}
	if e.Local != nil {
		all = append(all, step{name: localAPI, look: e.lookAtLocal})
	}
	return all
}

func good(format string, args ...any) (check.Result, error) {
	return check.Result{Outcome: check.OK, Found: fmt.Sprintf(format, args...)}, nil
}

func warn(fix, format string, args ...any) (check.Result, error) {
	return check.Result{Outcome: check.Warning, Found: fmt.Sprintf(format, args...), Fix: fix}, nil
}

func skip(reason string) (check.Result, error) {
	return check.Result{Outcome: check.Skipped, Found: reason}, nil
}

// fail returns a failure that has kind's exit code.
func fail(kind *refusal.Kind, fix, format string, args ...any) (check.Result, error) {
	found := fmt.Sprintf(format, args...)
	return check.Result{Outcome: check.Failed, Found: found, Fix: fix, Err: &refusal.Error{Kind: kind, Reason: found}}, nil
}

// failure returns the result of an error, with the advice of a refusal. The text of an
// error that is not a refusal is for the log alone.
func failure(err error) check.Result {
	found := "an error that is not expected, see the details"
	switch refused, ok := errors.AsType[*refusal.Error](err); {
	case ok && refused.Reason != "":
		found = refused.Reason
	case ok:
		found = refused.Kind.Error()
	case errors.Is(err, context.DeadlineExceeded):
		found = "there was no answer in time"
	}
	return check.Result{Outcome: check.Failed, Found: found, Fix: refusal.Advice(err), Err: err}
}

// lookAtSinks looks at the files as the server does at its start.
func (e *examination) lookAtSinks(context.Context) (check.Result, error) {
	if err := e.Sinks(); err != nil {
		return check.Result{Outcome: check.Failed, Found: err.Error(), Fix: "correct the section sinks: skr serve does not start with it", Err: err}, nil //nolint:nilerr // the result has it
	}
	return good("their directories, templates and envelopes can be used")
}

// lookAtLists warns about allow-lists that allow whole clouds, as the drop-in's defaults do.
func (e *examination) lookAtLists(context.Context) (check.Result, error) {
	if len(e.UnsetLists) == 0 {
		return good("they are set, or contain only the hosts of the aliases")
	}
	return warn("set it, or name the keys in the section keys: the default then contains only the hosts of the aliases",
		"%s: not set, so that any host of Azure's clouds may be named, another tenant's too", strings.Join(e.UnsetLists, ", "))
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"skr/internal/refusal"
)

// The names of the checks, in their order.
const (
	optionalParts   = "optional-parts"
	reportSource    = "report-source"
	report          = "report"
	tcb             = "tcb"
	guestPolicy     = "guest-policy"
	securityContext = "security-context"
	measuredBoot    = "measured-boot"
	reach           = "reach"
	clock           = "clock"
	identity        = "identity"
	attestation     = "attestation"
	key             = "key"
	exportable      = "exportable"
	releasePolicy   = "release-policy"
	release         = "release"
	allowLists      = "allow-lists"
	localAPI        = "local-api"
)

// Names of all checks, in their order.
func Names() []string {
	return []string{
		optionalParts, reportSource, report, tcb, guestPolicy, securityContext, measuredBoot, reach, clock,
		identity, attestation, key, exportable, releasePolicy, release, allowLists, localAPI,
	}
}

// check is one step.
type check struct {
	name, subject string
	// needs are the checks, of this subject or of the machine, without which
	// there is nothing to look at.
	needs []string
	// after are those that only a failure of keeps from looking.
	after []string
	// look returns an error where a party refused, and a finding else.
	look func(context.Context) (finding, error)
}

type finding struct {
	status        Status
	evidence, fix string
	err           error
}

func good(format string, args ...any) (finding, error) {
	return finding{status: OK, evidence: fmt.Sprintf(format, args...)}, nil
}

func warn(fix, format string, args ...any) (finding, error) {
	return finding{status: Warning, evidence: fmt.Sprintf(format, args...), fix: fix}, nil
}

func skip(evidence string) (finding, error) {
	return finding{status: Skipped, evidence: evidence}, nil
}

// fail is a failure that kind stands for in the table of codes.
func fail(kind *refusal.Kind, fix, format string, args ...any) (finding, error) {
	evidence := fmt.Sprintf(format, args...)
	return finding{Failure, evidence, fix, &refusal.Error{Kind: kind, Reason: evidence}}, nil
}

// failed is the finding of an error, with the advice of the refusal. Of another error
// than a refusal only the log may tell the text.
func failed(err error) finding {
	evidence := "an error that is not expected, see the details"
	switch refused, ok := errors.AsType[*refusal.Error](err); {
	case ok && refused.Reason != "":
		evidence = refused.Reason
	case ok:
		evidence = refused.Kind.Error()
	case errors.Is(err, context.DeadlineExceeded):
		evidence = "there was no answer in time"
	}
	return finding{Failure, evidence, refusal.Advice(err), err}
}

// blocked names what this check needs and has not got.
func (c check) blocked(before []Result) string {
	for _, r := range before {
		if r.Subject != "" && r.Subject != c.subject {
			continue
		}
		needed, wanted := slices.Contains(c.needs, r.Check), slices.Contains(c.after, r.Check)
		if r.Status == Failure && (needed || wanted) || r.Status == Skipped && needed {
			return r.Check
		}
	}
	return ""
}

func (e *examination) checks() []check {
	all := append(e.partChecks(), e.machineChecks()...)
	for _, endpoint := range e.Endpoints {
		all = append(all, e.endpointChecks(endpoint)...)
	}
	for _, target := range e.Targets {
		all = append(all, e.targetChecks(target)...)
	}
	if len(e.Targets) == 0 {
		all = append(all, check{name: key, look: func(context.Context) (finding, error) {
			return skip("no key was named: name one by --alias, or by --authority, --vault and --key")
		}})
	}
	all = append(all, check{name: allowLists, look: e.lookAtLists})
	if e.Local != nil {
		all = append(all, check{name: localAPI, look: e.lookAtLocal})
	}
	return all
}

// lookAtLists: the defaults are those of a drop-in, and let in whole clouds.
func (e *examination) lookAtLists(context.Context) (finding, error) {
	if len(e.UnsetLists) == 0 {
		return good("they are set, or are what the aliases name")
	}
	return warn("set it, or name the keys in the section keys: then the default is what the aliases name",
		"%s: not set, so that any host of Azure's clouds may be named, a stranger's too", strings.Join(e.UnsetLists, ", "))
}

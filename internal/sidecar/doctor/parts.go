package doctor

import (
	"context"
	"errors"
	"strings"

	"skr/internal/check"
)

// partSteps has one step for each optional part that cannot be used. It needs no other
// step, so that the part is reported even if nothing else works.
func (e *examination) partSteps() (steps []step) {
	for _, p := range e.Problems() {
		if p.Part == PodStart {
			steps = append(steps, startStep(p))
			continue
		}
		steps = append(steps, step{name: optionalParts, subject: p.Part, look: func(context.Context) (check.Result, error) {
			return warn(p.Fix, "cannot be used, and skr runs without it: %s", p.Reason)
		}})
	}
	return steps
}

// startStep reports that nothing has called the sidecar.
func startStep(p Problem) step {
	return step{name: podStart, look: func(context.Context) (check.Result, error) { return warn(p.Fix, "%s", p.Reason) }}
}

// NotReadyError is the error of a sidecar that answers and is not ready.
type NotReadyError struct{ Parts string } // which, and why

func (e *NotReadyError) Error() string { return "not ready: " + e.Parts }

func (e *examination) lookAtLocal(ctx context.Context) (check.Result, error) {
	problems, err := e.Local(ctx)
	e.uncalled, problems = withoutPodStart(problems)
	without, fixes := describeProblems(problems)
	notReady, answers := errors.AsType[*NotReadyError](err)
	switch {
	case answers && len(problems) == 0:
		return warn("see the steps above, and `skr healthcheck`", "a sidecar answers and is not ready: %s", notReady.Parts)
	case answers:
		return warn(fixes, "a sidecar answers and is not ready: %s; it runs without %s", notReady.Parts, without)
	case err != nil && len(problems) == 0:
		return warn("start the sidecar, or name where it listens with --listen", "no sidecar that is ready answers on this machine")
	case err != nil:
		return warn(fixes, "a sidecar answers and is not ready, and runs without %s", without)
	case len(problems) > 0:
		return warn(fixes, "a sidecar answers and is ready, and runs without %s", without)
	}
	return good("a sidecar answers and is ready")
}

// withoutPodStart returns the problem that nothing has called the sidecar, or nil, and the other problems.
func withoutPodStart(all []Problem) (uncalled *Problem, others []Problem) {
	for _, p := range all {
		if p.Part == PodStart {
			uncalled = &p
		} else {
			others = append(others, p)
		}
	}
	return uncalled, others
}

func describeProblems(problems []Problem) (without, fixes string) {
	var parts, advice []string
	for _, p := range problems {
		parts = append(parts, p.Part+": "+p.Reason)
		advice = append(advice, p.Part+": "+p.Fix)
	}
	return strings.Join(parts, "; "), strings.Join(advice, "; ")
}

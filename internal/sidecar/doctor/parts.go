package doctor

import (
	"context"
	"strings"

	"skr/internal/check"
)

// partSteps has one step for each optional part that cannot be used. It needs no other
// step, so that the part is reported even if nothing else works.
func (e *examination) partSteps() (steps []step) {
	for _, p := range e.Problems() {
		steps = append(steps, step{name: optionalParts, subject: p.Part, look: func(context.Context) (check.Result, error) {
			return warn(p.Fix, "cannot be used, and skr runs without it: %s", p.Reason)
		}})
	}
	return steps
}

func (e *examination) lookAtLocal(ctx context.Context) (check.Result, error) {
	problems, err := e.Local(ctx)
	without, fixes := describeProblems(problems)
	switch {
	case err != nil && len(problems) == 0:
		return warn("start the sidecar, or name where it listens with --listen", "no sidecar that is ready answers on this machine")
	case err != nil:
		return warn(fixes, "a sidecar answers and is not ready, and runs without %s", without)
	case len(problems) > 0:
		return warn(fixes, "a sidecar answers and is ready, and runs without %s", without)
	}
	return good("a sidecar answers and is ready")
}

func describeProblems(problems []Problem) (without, fixes string) {
	var parts, advice []string
	for _, p := range problems {
		parts = append(parts, p.Part+": "+p.Reason)
		advice = append(advice, p.Part+": "+p.Fix)
	}
	return strings.Join(parts, "; "), strings.Join(advice, "; ")
}

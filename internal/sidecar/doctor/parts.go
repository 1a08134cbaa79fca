package doctor

import (
	"context"
	"strings"
)

// partChecks are one for each optional part that cannot be used. They need no other:
// such a part is to be seen also where nothing else works.
func (e *examination) partChecks() (checks []check) {
	for _, p := range e.Problems() {
		checks = append(checks, check{name: optionalParts, subject: p.Part, look: func(context.Context) (finding, error) {
			return warn(p.Fix, "cannot be used, and skr runs without it: %s", p.Reason)
		}})
	}
	return checks
}

func (e *examination) lookAtLocal(ctx context.Context) (finding, error) {
	problems, err := e.Local(ctx)
	without, fixes := told(problems)
	switch {
	case err != nil && len(problems) == 0:
		return warn("start the sidecar, or name where it listens by --listen", "no sidecar that is ready answers on this machine")
	case err != nil:
		return warn(fixes, "a sidecar answers and is not ready, and runs without %s", without)
	case len(problems) > 0:
		return warn(fixes, "a sidecar answers and is ready, and runs without %s", without)
	}
	return good("a sidecar answers and is ready")
}

func told(problems []Problem) (without, fixes string) {
	var parts, advice []string
	for _, p := range problems {
		parts = append(parts, p.Part+": "+p.Reason)
		advice = append(advice, p.Part+": "+p.Fix)
	}
	return strings.Join(parts, "; "), strings.Join(advice, "; ")
}

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
	if err != nil {
		return warn("start the sidecar, or name where it listens by --listen", "no sidecar that is ready answers on this machine")
	}
	if len(problems) == 0 {
		return good("a sidecar answers and is ready")
	}
	var told, fixes []string
	for _, p := range problems {
		told = append(told, p.Part+": "+p.Reason)
		fixes = append(fixes, p.Part+": "+p.Fix)
	}
	return warn(strings.Join(fixes, "; "), "a sidecar answers and is ready, and runs without %s", strings.Join(told, "; "))
}

package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"skr/internal/operator/inspect"
)

// checkContents fails if parts cannot be read or contradict each other, and notes the parts
// that no rule looks at. Rules look at the judged kinds and, if bound is set, at data that is
// bound through a field of the report.
func (v *Verdict) checkContents(given []inspect.Part, bound bool, judged ...inspect.Kind) {
	var faults []string
	for _, p := range given {
		switch {
		case p.Err != nil:
			faults = append(faults, p.Err.Error())
		case p.Bound && bound, slices.Contains(judged, p.Kind):
		case p.Kind == "":
			v.unjudged = append(v.unjudged, fmt.Sprintf("%.100q (not recognised)", p.Path))
		default:
			v.unjudged = append(v.unjudged, fmt.Sprintf("%.100q (%s)", p.Path, p.Kind.Name()))
		}
	}
	var err error
	if faults != nil {
		err = errors.New(strings.Join(faults, "; "))
	}
	v.record(contents, "every known part can be read", err)
}

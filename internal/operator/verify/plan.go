package verify

import (
	"fmt"
	"slices"

	"skr/internal/check"
)

// plan is the names of the checks that must be made before an artefact passes. One of them that
// is skipped or never made has failed.
type plan []string

// needs reports whether a check must be made.
func (p plan) needs(name string) bool { return slices.Contains(p, name) }

// with adds a check if there is a reason for it.
func (p plan) with(is bool, name string) plan {
	if is {
		return append(p, name)
	}
	return p
}

// require adds checks that are needed because of what was given.
func (v *Verdict) require(names ...string) { v.plan = append(v.plan, names...) }

// skip leaves a check out. That is a failure if the plan needs it.
func (v *Verdict) skip(name, why string) {
	if v.plan.needs(name) {
		v.miss(name, "it cannot be made: "+why)
		return
	}
	v.Checks = append(v.Checks, check.Result{Name: name, Outcome: check.Skipped, Found: why})
}

// miss fails a check that could not be made. The check that is the cause has the advice.
func (v *Verdict) miss(name, why string) {
	v.Passed = false
	v.Checks = append(v.Checks, check.Result{Name: name, Outcome: check.Failed, Found: why})
}

// finish fails the needed checks that were never made, and lists what was not looked at:
// skipped checks, unused parts, and what rules of this kind never look at.
func (v *Verdict) finish(never ...string) *Verdict {
	for _, name := range v.plan {
		if !slices.ContainsFunc(v.Checks, func(c check.Result) bool { return c.Name == name }) {
			v.miss(name, "it is needed and cannot be made")
		}
	}
	unseen := []string{}
	for _, c := range v.Checks {
		if c.Outcome == check.Skipped {
			unseen = append(unseen, fmt.Sprintf("%s (%s)", c.Name, c.Found))
		}
	}
	v.NotLookedAt = slices.Concat(unseen, v.unjudged, never)
	return v
}

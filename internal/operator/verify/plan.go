package verify

import (
	"fmt"
	"slices"
)

// plan is what must be looked at before a verdict may be good: the names of checks. A
// check of it that is skipped or never made has failed.
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
	v.Checks = append(v.Checks, Check{name, Skipped, why, ""})
}

// miss fails a check that could not be made. What to do stands beside the cause.
func (v *Verdict) miss(name, why string) {
	v.Passed = false
	v.Checks = append(v.Checks, Check{name, Failed, why, ""})
}

// finish fails what the plan needs and nobody made, and tells what was not looked at:
// what was skipped, and what rules of this kind never look at.
func (v *Verdict) finish(never ...string) *Verdict {
	for _, name := range v.plan {
		if !slices.ContainsFunc(v.Checks, func(c Check) bool { return c.Name == name }) {
			v.miss(name, "it is needed and cannot be made")
		}
	}
	unseen := []string{}
	for _, c := range v.Checks {
		if c.Outcome == Skipped {
			unseen = append(unseen, fmt.Sprintf("%s (%s)", c.Name, c.Detail))
		}
	}
	v.NotLookedAt = slices.Concat(unseen, v.unjudged, never)
	return v
}

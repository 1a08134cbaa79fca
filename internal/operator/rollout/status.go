package rollout

import (
	"slices"
	"strings"

	"skr/internal/refusal"
	"skr/releasepolicy"
)

// Status compares a key's policy with what an inventory says about the key.
type Status struct {
	// Allowed are the measurements that the policy lists.
	Allowed []Allowance `json:"allowed"`
	// Missing are workloads that an authority of the policy does not admit.
	Missing []Workload `json:"missing,omitempty"`
	// MissingAuthorities are wanted and not in the policy.
	MissingAuthorities []string `json:"missing_authorities,omitempty"`
	// OtherAuthorities are in the policy and not in the inventory.
	OtherAuthorities []string `json:"other_authorities,omitempty"`
	// Open is true if the policy admits measurements that it does not list.
	Open bool `json:"open,omitempty"`
}

// Allowance is a measurement in a policy.
type Allowance struct {
	Measurement string `json:"measurement"`
	// Sources are the workloads that have it. If it is empty, the measurement is a candidate for
	// retirement.
	Sources []string `json:"sources,omitempty"`
}

// Compare returns how the policy differs from what is wanted.
func (w Wanted) Compare(p *releasepolicy.Policy) Status {
	s := Status{Allowed: []Allowance{}}
	listed, open := p.Listed(w.claim(p))
	s.Open = open && len(w.Workloads) > 0
	for _, measurement := range listed {
		s.Allowed = append(s.Allowed, Allowance{measurement, w.sources(measurement)})
	}
	for _, workload := range w.Workloads {
		value, claim, err := measurementOf(p, workload.Measurement)
		if err != nil || len(p.Admits(claim, value)) < len(p.Authorities()) {
			s.Missing = append(s.Missing, workload)
		}
	}
	for _, name := range w.Authorities {
		if _, found := p.Authority(name); !found {
			s.MissingAuthorities = append(s.MissingAuthorities, name)
		}
	}
	for _, name := range p.Authorities() {
		if !slices.ContainsFunc(w.Authorities, func(wanted string) bool { return sameURL(wanted, name) }) {
			s.OtherAuthorities = append(s.OtherAuthorities, name)
		}
	}
	return s
}

// Replaces returns an error if a change would allow what the policy lacks and retire what pods
// have now: pods that run could have neither.
func (s Status) Replaces(kid string) error {
	if len(s.Missing)+len(s.MissingAuthorities) == 0 || len(s.strays())+len(s.OtherAuthorities) == 0 {
		return nil
	}
	return refusal.Newf(refusal.ManagementRejected,
		"%s does not allow yet what the inventory lists, so its running pods would lose the key; run `skrctl rollout apply` without --retire, "+
			"deploy, and then run it with --retire", kid)
}

// sameURL compares names of authorities as release policies do.
func sameURL(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// claim returns the claim of the policy with the measurements of the platform.
func (w Wanted) claim(p *releasepolicy.Policy) string {
	if isMachine(w.Platform) {
		return launchClaim(p)
	}
	return hostData
}

// sources returns the workloads that have a measurement.
func (w Wanted) sources(measurement string) (all []string) {
	if len(w.Workloads) == 0 {
		return []string{"any virtual machine"}
	}
	for _, workload := range w.Workloads {
		if workload.Measurement == measurement {
			all = append(all, workload.Source)
		}
	}
	return all
}

// strays returns the measurements that belong to no workload.
func (s Status) strays() (all []string) {
	for _, a := range s.Allowed {
		if len(a.Sources) == 0 {
			all = append(all, a.Measurement)
		}
	}
	return all
}

// IsComplete reports whether all that is wanted is allowed.
func (s Status) IsComplete() bool { return len(s.Missing)+len(s.MissingAuthorities) == 0 }

// IsExact reports whether exactly what is wanted is allowed.
func (s Status) IsExact() bool {
	return s.IsComplete() && len(s.strays())+len(s.OtherAuthorities) == 0 && !s.Open
}

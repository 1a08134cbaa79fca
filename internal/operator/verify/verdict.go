// Package verify tells whether an artefact is genuine, check by check.
//
// Evidence, tokens and release statements are each verified by several rules: who
// signed, for whom, when, over what. The packages that use them stop at the first
// rule that is broken; a person who looks for a fault wants all of them, and what
// to do. A [Verdict] is that list:
//
//	given := verify.Given{Evidence: evidence, Parts: found.Parts()}
//	v := verify.OfEvidence(given, verify.Silicon{Roots: roots}, time.Now())
//	err := v.WriteText(out, verify.Plain)
//	if !v.Passed { … }
//
// The rules themselves are those of the packages that it asks: vcek, uvm, vtpm, maa
// and hsm. Each verdict has a plan: the checks that must be made, because of what is
// verified, of what it contains and of what was asked. Such a check that cannot be made
// has failed. Others are skipped and listed in NotLookedAt. Which machines, utility VMs and
// authorities are acceptable is not judged, but for what no policy should allow:
// debugging, migration, and a report by less privileged software.
package verify

import (
	"errors"
	"slices"
	"time"
)

// Outcome is how a check ended.
type Outcome string

// The outcomes. A check that was skipped has nothing to say against the artefact.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Check is one rule, applied.
type Check struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Detail says what was found, or why the check was skipped.
	Detail string `json:"detail,omitempty"`
	// Advice says what to do about a failure.
	Advice string `json:"advice,omitempty"`
}

// Verdict is the outcome for one artefact. Its JSON form is stable.
type Verdict struct {
	// Subject is what was verified: "evidence", "token", "statement" or "measured boot".
	Subject Subject `json:"subject"`
	// At is the time that certificates and tokens were held against.
	At time.Time `json:"at"`
	// Passed says that each check that was needed was made, and none failed.
	Passed bool    `json:"passed"`
	Checks []Check `json:"checks"`
	// NotLookedAt is what nothing is said of: what was skipped, what was given and is
	// of no use here, and what the rules never judge.
	NotLookedAt []string `json:"not_looked_at"`

	plan     plan
	unjudged []string
}

func newVerdict(s Subject, at time.Time, needed ...string) *Verdict {
	return &Verdict{Subject: s, At: at.UTC().Truncate(time.Second), Passed: true, Checks: []Check{}, plan: slices.Clone(needed)}
}

// record adds a check that failed with err, or is ok with a detail.
func (v *Verdict) record(name, detail string, err error) {
	if err == nil {
		v.Checks = append(v.Checks, Check{name, OK, detail, ""})
		return
	}
	v.Passed = false
	advice := adviceOn(name)
	if known, is := errors.AsType[adviser](err); is {
		advice = known.Advice()
	}
	v.Checks = append(v.Checks, Check{name, Failed, err.Error(), advice})
}

// adviser is an error with advice of its own, which fits better than that of the check.
type adviser interface {
	error
	Advice() string
}

// Failures are the names of the checks that failed.
func (v *Verdict) Failures() []string {
	var names []string
	for _, c := range v.Checks {
		if c.Outcome == Failed {
			names = append(names, c.Name)
		}
	}
	return names
}

func adviceOn(name string) string {
	at := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	if at < 0 {
		return ""
	}
	return rules[at].advice
}

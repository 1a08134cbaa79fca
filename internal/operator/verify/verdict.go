// Package verify verifies artefacts, check by check.
//
// Evidence, tokens, release statements and measured boots are each verified by several
// rules: who signed, for whom, when, over what. The packages on the release path stop at the
// first rule that is broken. Someone who looks for a fault needs all of them, with what to do.
// A [Verdict] is that list:
//
//	given := verify.Given{Evidence: evidence, Parts: found.Parts()}
//	v := verify.OfEvidence(given, verify.Silicon{Roots: roots}, time.Now())
//	err := v.Report().Write(out, check.Plain)
//	if !v.Passed { … }
//
// The rules themselves are in vcek, uvm, vtpm, maa and hsm. Each verdict has a plan: the checks
// that are needed, because of what is verified, what the file contains and what was asked. A
// needed check that cannot be made has failed. Other checks are skipped and listed in
// NotLookedAt. Which machines, utility VMs and authorities are acceptable is not decided here,
// except for what no policy should allow: debugging, migration, and a report that less
// privileged software requested.
package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/internal/check"
)

// Verdict is the outcome for one artefact. Its JSON form is stable.
type Verdict struct {
	// Subject is what was verified.
	Subject Subject
	// At is the time that certificates and tokens were compared with.
	At time.Time
	// Passed is true if each needed check was made and none failed.
	Passed bool
	Checks []check.Result
	// NotLookedAt lists what the verdict says nothing about: skipped checks, parts that are
	// of no use here, and what the rules never look at.
	NotLookedAt []string

	plan     plan
	unjudged []string
}

func newVerdict(s Subject, at time.Time, needed ...string) *Verdict {
	return &Verdict{Subject: s, At: at.UTC().Truncate(time.Second), Passed: true, plan: slices.Clone(needed)}
}

// record adds a check that failed with err, or is ok with a detail.
func (v *Verdict) record(name, detail string, err error) {
	if err == nil {
		v.Checks = append(v.Checks, check.Result{Name: name, Outcome: check.OK, Found: detail})
		return
	}
	v.Passed = false
	advice := adviceOn(name)
	if known, is := errors.AsType[adviser](err); is {
		advice = known.Advice()
	}
	v.Checks = append(v.Checks, check.Result{Name: name, Outcome: check.Failed, Found: err.Error(), Fix: advice, Err: err})
}

// adviser is an error with its own advice, which fits better than the check's.
type adviser interface {
	error
	Advice() string
}

// Failures returns the names of the checks that failed.
func (v *Verdict) Failures() []string {
	var names []string
	for _, c := range v.Checks {
		if c.Outcome == check.Failed {
			names = append(names, c.Name)
		}
	}
	return names
}

// format is the form of the checks.
var format = check.Format{
	Words: map[check.Outcome]string{check.OK: "ok", check.Failed: "failed", check.Skipped: "skipped"},
	Name:  "name", Outcome: "outcome", Found: "detail", Fix: "advice",
}

// Report returns the verdict in the form that is printed: a line for each check, and a last
// line with all that was not looked at.
func (v *Verdict) Report() check.Report {
	r := check.Report{
		Format:  format,
		Heading: fmt.Sprintf("%s as of %s", v.Subject, v.At.Format(time.RFC3339)),
		Results: v.Checks, Document: v,
	}
	if len(v.NotLookedAt) > 0 {
		r.Closing = "not looked at: " + strings.Join(v.NotLookedAt, "; ")
	}
	return r
}

// MarshalJSON implements [json.Marshaler].
func (v *Verdict) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Subject     Subject     `json:"subject"`
		At          time.Time   `json:"at"`
		Passed      bool        `json:"passed"`
		Checks      []check.Row `json:"checks"`
		NotLookedAt []string    `json:"not_looked_at"`
	}{v.Subject, v.At, v.Passed, format.Rows(v.Checks), v.NotLookedAt})
}

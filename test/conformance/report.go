package conformance

import (
	"fmt"
	"io"
	"time"
)

// Report is the result of a run, to be attached to an issue.
type Report struct {
	Suite     string         `json:"suite"`
	Program   string         `json:"program"`
	Time      time.Time      `json:"time"`
	Endpoints []Endpoint     `json:"endpoints"`
	Write     bool           `json:"write"`
	Evidence  string         `json:"evidence,omitempty"` // its kind
	Summary   map[Result]int `json:"summary"`
	Remaining int            `json:"remaining_keys"`
	Checks    []Outcome      `json:"checks"`

	Left []Leftover `json:"-"` // names keys, so it is only for the screen
}

// Endpoint is a service that was judged. The host is without what names its owner, unless
// Config.Names is set.
type Endpoint struct {
	Service string `json:"service"`
	Host    string `json:"host"`
}

// Outcome is the result of one check.
type Outcome struct {
	Service     string     `json:"service"`
	Name        string     `json:"name"`
	Source      string     `json:"source"`
	Result      Result     `json:"result"`
	Reason      string     `json:"reason,omitempty"`
	Differences []string   `json:"differences,omitempty"`
	Expected    []string   `json:"expected,omitempty"`
	Exchanges   []Exchange `json:"exchanges,omitempty"`
}

func newReport(c Config, parts []part, now time.Time) *Report {
	r := &Report{Suite: Version, Program: c.Program, Time: now.UTC().Truncate(time.Second), Write: c.Write, Summary: make(map[Result]int)}
	for _, p := range parts {
		r.Endpoints = append(r.Endpoints, Endpoint{p.session.service, p.session.domain()})
	}
	if m := parts[0].session.machine; m != nil {
		r.Evidence = m.kind
	}
	return r
}

func (r *Report) add(o Outcome) {
	r.Checks = append(r.Checks, o)
	r.Summary[o.Result]++
}

func (r *Report) finish() { r.Remaining = len(r.Left) }

// Passed reports whether no check found a difference or failed.
func (r *Report) Passed() bool { return r.Summary[Differs] == 0 && r.Summary[Failed] == 0 }

// Write prints the outcome of one check in a line, and its differences.
func (o Outcome) Write(out io.Writer) error {
	text := fmt.Sprintf("%-8s %s: %s", o.Result, o.Service, o.Name)
	if o.Reason != "" {
		text += " (" + o.Reason + ")"
	}
	text += "\n"
	for _, d := range o.Differences {
		text += "           " + d + "\n"
	}
	if len(o.Differences) > 0 {
		text += "           source: " + o.Source + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// WriteSummary prints the counts, and each key that remains.
func (r *Report) WriteSummary(out io.Writer) error {
	text := fmt.Sprintf("%d checks: %d same, %d differ, %d skipped, %d failed\n", len(r.Checks),
		r.Summary[Same], r.Summary[Differs], r.Summary[Skipped], r.Summary[Failed])
	for _, l := range r.Left {
		text += fmt.Sprintf("not removed: key %s of %s: %s\n", l.Key, l.Host, l.Reason)
	}
	_, err := io.WriteString(out, text)
	return err
}

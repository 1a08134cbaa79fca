package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"skr/internal/check"
)

// Format is the form of the checks.
var Format = check.Format{
	Words: map[check.Outcome]string{check.OK: "same", check.Failed: "differs", check.Warning: "not served", check.Skipped: "skipped"},
	Name:  "check", Subject: "contract", Outcome: "outcome", Found: "found",
}

// Report is what the checks found. Its JSON form is stable.
type Report struct {
	// Sidecar is the kind of address, without its host.
	Sidecar string `json:"sidecar"`
	// Contract is Own if both contracts were checked.
	Contract Contract `json:"contract"`
	// Released reports whether the checks asked for a key.
	Released bool `json:"released"`
	Requests int  `json:"requests"`
	// HardwareReports counts the requests that make the hardware sign a report, and
	// MoreIfAccepted those that do so only if the sidecar accepts what skr refuses.
	HardwareReports int `json:"hardware_reports"`
	MoreIfAccepted  int `json:"hardware_reports_if_accepted"`
	Same            int `json:"same"`
	Differs         int `json:"differs"`
	NotServed       int `json:"not_served"`
	Skipped         int `json:"skipped"`
	// Checks are the results in the order of the requests.
	Checks []check.Row `json:"checks"`
	// Exchanges are the requests with the shapes of their answers.
	Exchanges []Exchange `json:"exchanges,omitempty"`

	address Address
	results []check.Result
}

// Exchange is a request and the shape of its answer.
type Exchange struct {
	Check    string `json:"check"`
	Method   string `json:"method"`
	Path     string `json:"path"` // without the query
	Sent     int    `json:"sent_bytes"`
	Failure  string `json:"failure,omitempty"`
	Status   int    `json:"status,omitempty"`
	Type     string `json:"content_type,omitempty"`
	Received int    `json:"received_bytes"`
	// Headers are the names of the answer's headers.
	Headers      []string `json:"headers,omitempty"`
	Shape        any      `json:"shape,omitempty"`
	Milliseconds int64    `json:"milliseconds"`
}

func newReport(c Config) *Report {
	contract := c.Contract
	if contract == "" {
		contract = Own
	}
	return &Report{Sidecar: c.Sidecar.kind, Contract: contract, Released: c.releases(), address: c.Sidecar}
}

func (r *Report) add(p probe, contract Contract, outcome check.Outcome, found string) {
	r.results = append(r.results, check.Result{Name: p.name, Subject: string(contract), Outcome: outcome, Found: found})
	r.Checks = Format.Rows(r.results)
	switch outcome {
	case check.OK:
		r.Same++
	case check.Failed:
		r.Differs++
	case check.Warning:
		r.NotServed++
	default:
		r.Skipped++
	}
}

// record adds the shapes of a request and its answer.
func (r *Report) record(p probe, a *answer, failure *failure) {
	r.Requests++
	r.HardwareReports += p.reports
	r.MoreIfAccepted += p.reportsIfAccepted
	e := Exchange{Check: p.name, Method: p.method, Path: pathOf(p), Sent: len(p.body)}
	if failure != nil {
		e.Failure = failure.text
	} else {
		e.Status, e.Type, e.Received = a.status, mediaType(a.header), len(a.body)
		for _, name := range slices.Sorted(maps.Keys(a.header)) {
			e.Headers = append(e.Headers, plainName(name))
		}
		e.Milliseconds = a.took.Milliseconds()
		e.Shape = shapeOf(a.body)
	}
	r.Exchanges = append(r.Exchanges, e)
}

// Printed returns the checks for the screen, and as JSON without the exchanges.
func (r *Report) Printed() check.Report {
	document := *r
	document.Exchanges = nil
	return check.Report{
		Format: Format, Results: r.results, Document: document,
		Heading: fmt.Sprintf("%s: %d requests; %d ask the hardware for a report, and %d more if the sidecar accepts what skr refuses",
			r.address, r.Requests, r.HardwareReports, r.MoreIfAccepted),
		Closing: r.Count(),
	}
}

// Count says how many checks ended how.
func (r *Report) Count() string {
	return fmt.Sprintf("%d checks: %d same, %d differ, %d not served, %d skipped", len(r.results), r.Same, r.Differs, r.NotServed, r.Skipped)
}

// Conforms reports whether no check differs and everything is served.
func (r *Report) Conforms() bool { return r.Differs == 0 && r.NotServed == 0 }

// pathOf is the path without the query.
func pathOf(p probe) string {
	path, _, _ := strings.Cut(p.path, "?")
	return path
}

// describe says what an answer is, in sizes.
func (a *answer) describe() string {
	if len(a.body) == 0 {
		return fmt.Sprintf("status %d, no body", a.status)
	}
	return fmt.Sprintf("status %d, %s, %d bytes", a.status, mediaType(a.header), len(a.body))
}

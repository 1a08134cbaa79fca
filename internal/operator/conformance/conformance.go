// Package conformance holds a running sidecar against api/openapi.yaml and against what callers of
// the reference sidecar rely on.
//
// It sends a list of requests. Each answer is judged twice: by the reference's contract, which every
// drop-in must keep, and by skr's own, which adds the document of the API. A check is one contract's
// judgement of one answer:
//
//	address, err := conformance.ParseAddress("http://localhost:8080")
//	report, err := conformance.Run(ctx, conformance.Config{Sidecar: address})
//	err = report.Printed().Write(os.Stdout, check.Plain)
//
// Without the names of a key no key is released. A released key and a token are checked for their
// shape and wiped; no result and no report holds a value of an answer. The package sends no token and
// does not look at gRPC.
package conformance

import (
	"context"
	"net/http"
	"time"

	"skr/internal/check"
	"skr/internal/refusal"
)

// Contract is what a check holds a sidecar to.
type Contract string

// The contracts.
const (
	// Reference is what callers of the reference sidecar rely on. Every drop-in must keep it.
	Reference Contract = "reference"
	// Own is skr's: api/openapi.yaml and what it says in words.
	Own Contract = "skr"
)

func (c Contract) words() string {
	if c == Reference {
		return "the reference's contract"
	}
	return "skr's contract"
}

// Config says which sidecar to ask, and for what.
type Config struct {
	Sidecar Address
	// Timeout of each request; it must be positive.
	Timeout time.Duration
	// Contract limits the checks to Reference; Own and "" mean both contracts.
	Contract Contract
	// Authority is a host name. If it is empty, no attestation token is requested.
	Authority string
	// Vault is a host name and Key the name of a key. If any of Authority, Vault and Key is
	// empty, no key is released.
	Vault, Key string
}

func (c Config) releases() bool { return c.Authority != "" && c.Vault != "" && c.Key != "" }

// Run sends the requests, one after the other. It returns an error if no sidecar answers the first
// one. After a request without an answer in time it sends no more; the remaining checks are skipped.
func Run(ctx context.Context, c Config) (*Report, error) {
	return runWith(ctx, c, newSender(c.Sidecar))
}

func runWith(ctx context.Context, c Config, sender *sender) (*Report, error) {
	description, err := described()
	if err != nil {
		return nil, err
	}
	r := &run{Config: c, document: description, report: newReport(c)}
	for i, p := range probesFor(c) {
		if p.skip == "" {
			p.skip = r.stopped
		}
		if p.skip != "" {
			r.skip(p)
			continue
		}
		if err := r.document.agrees(p); err != nil {
			return nil, err
		}
		got, failure := sender.send(ctx, c.Timeout, p, i)
		if failure != nil && (i == 0 || ctx.Err() != nil) {
			return nil, refusal.Newf(failure.kind, "%s %s: %s", p.method, p.path, failure.text)
		}
		r.take(p, got, failure)
		got.wipe()
	}
	return r.report, nil
}

// run is the state of Run.
type run struct {
	Config

	document *document
	report   *Report
	stopped  string // why no more requests are sent
}

func (r *run) contracts(p probe) map[Contract]rule {
	rules := make(map[Contract]rule)
	if p.reference != nil {
		rules[Reference] = p.reference
	}
	if p.own != nil && r.Contract != Reference {
		rules[Own] = func(a *answer) string { return all(p.own, r.document.describes(p), common)(a) }
	}
	return rules
}

// common holds for every answer of skr.
func common(a *answer) string {
	switch {
	case a.header.Get(headerRequestID) != a.requestID:
		return "X-Request-Id is not the request's"
	case a.header.Get("Cache-Control") != "no-store":
		return "Cache-Control is not no-store"
	case a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "":
		return "an answer with status 405 lacks Allow"
	}
	return ""
}

func (r *run) skip(p probe) {
	for _, contract := range []Contract{Reference, Own} {
		if r.contracts(p)[contract] != nil {
			r.report.add(p, contract, check.Skipped, p.skip)
		}
	}
}

// take judges the answer to a request, or its failure.
func (r *run) take(p probe, got *answer, failure *failure) {
	r.report.record(p, got, failure)
	if failure != nil && failure.stops {
		r.stopped = "not sent: a request before had no answer in time"
	}
	rules := r.contracts(p)
	for _, contract := range []Contract{Reference, Own} {
		held := rules[contract]
		switch {
		case held == nil:
		case failure != nil:
			r.report.add(p, contract, check.Failed, contract.words()+": "+failure.text)
		default:
			outcome, found := p.judge(got, contract, held)
			r.report.add(p, contract, outcome, found)
		}
	}
}

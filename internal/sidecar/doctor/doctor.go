// Package doctor finds out what keeps a machine from getting its keys.
//
// It goes the way of a release, one step after the other, and looks at each
// alone: the report, its certificates, the security context, the services and
// their clock, the identity, the attestation, the key with its policy, and the
// release itself. What a step needs of an earlier one that failed is skipped, so
// that the first failure is the cause and not a consequence:
//
//	results := doctor.New(doctor.Config{Attester: attester, …}).Examine(ctx)
//	for _, r := range results {
//		fmt.Println(r.Status, r.Check, r.Evidence, r.Fix)
//	}
//
// It changes nothing: a released key is wiped at once. It shows no secret, and no
// claim that somebody chose freely.
package doctor

import (
	"context"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/secmem"
	"skr/keyrelease"
)

const defaultTimeout = 20 * time.Second

// Status is how a check ended.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Warning Status = "warning" // a release may work all the same
	Failure Status = "failure"
	Skipped Status = "skipped" // it could not be looked at
)

// Result is what a check found.
type Result struct {
	// Check is one of Names.
	Check string `json:"check"`
	// Subject is the host, alias or key that the check is about; "" for the machine.
	Subject string `json:"subject,omitempty"`
	Status  Status `json:"status"`
	// Evidence is what was seen, in one sentence.
	Evidence string `json:"evidence"`
	// Fix is what to do about it, "" where there is nothing to do.
	Fix string `json:"fix,omitempty"`
	// Err is the cause of a failure. Its text is for operators: it may tell more
	// than Evidence.
	Err error `json:"-"`
}

// Target is a key and how it is called.
type Target struct {
	// Name is the alias, or the key's name.
	Name string
	// Request is what a release would ask.
	Request keyrelease.Request
}

// Endpoint is a service that must be reachable.
type Endpoint struct {
	// Name is its host, for people.
	Name string
	// URL to ask; any status below 500 shows that the service is there.
	URL string
	// HTTP asks it.
	HTTP Asker
	// Clock says that the Date header of its answers is compared with ours.
	Clock bool
}

// Problem is an optional part that is there and cannot be used. skr runs without it.
type Problem struct {
	// Part names it: "UVM endorsement".
	Part string
	// Reason says why it cannot be used, Fix what to do about it.
	Reason, Fix string
}

// Releaser is the pipeline.
type Releaser interface {
	// Token has authority appraise evidence over runtimeData.
	Token(ctx context.Context, authority attest.Authority, runtimeData []byte) (*attest.Result, error)
	// Release releases a key, which the caller wipes.
	Release(ctx context.Context, request keyrelease.Request) (*hsm.Key, error)
}

// Attester is who proves what this machine is.
type Attester interface {
	// Platform says what kind of machine it is.
	Platform(ctx context.Context) (attest.Platform, error)
	// Report has a report over runtimeData that nothing endorses yet.
	Report(ctx context.Context, runtimeData []byte) (*attest.Evidence, error)
	// Evidence is verified.
	Evidence(ctx context.Context, runtimeData []byte) (*attest.Evidence, error)
	// String names where it comes from: "/dev/sev-guest".
	String() string
}

var _ Attester = (*attest.Attester)(nil)

// Identity is who we are to a vault.
type Identity interface {
	AccessToken(ctx context.Context, audience string) (secmem.Text, error)
	// String names it: "workload identity".
	String() string
}

// Config is what is examined. Targets, Endpoints, Problems, UnsetLists and Local may be missing.
type Config struct {
	Attester Attester
	Endorser attest.Endorser
	Context  *uvm.SecurityContext
	// OtherSilicon says that reports are by silicon that is not AMD's, whose utility
	// VMs Microsoft does not endorse.
	OtherSilicon bool
	// Problems are the optional parts that cannot be used; nil means none.
	Problems  func() []Problem
	Releaser  Releaser
	Describer keyrelease.Describer
	Identity  Identity
	// Endpoints are asked in this order.
	Endpoints []Endpoint
	// Targets are the keys that should be released.
	Targets []Target
	// UnsetLists are the names of the allow-lists that have their defaults.
	UnsetLists []string
	// Local asks the sidecar on this machine what it runs without; its error says that
	// none answers and is ready, and one that is not ready may have problems too. Nil
	// where the sidecar itself examines.
	Local func(context.Context) ([]Problem, error)
	// Timeout of each check; 0 means 20 s.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Doctor examines. It is safe for concurrent use.
type Doctor struct{ config Config }

// New makes a Doctor. It asks nobody.
func New(c Config) *Doctor {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Problems == nil {
		c.Problems = func() []Problem { return nil }
	}
	return &Doctor{c}
}

// Failed is the first failure, or nil.
func Failed(results []Result) *Result {
	for i := range results {
		if results[i].Status == Failure {
			return &results[i]
		}
	}
	return nil
}

// examination holds what earlier checks found for later ones.
type examination struct {
	Config
	platform     attest.Platform
	report       *snp.Report      // nil with Trusted Launch
	guest        *attest.Evidence // nil where no virtual TPM is
	attestations map[attest.Authority]*attest.Result
	access       map[string]secmem.Text // by audience
	keys         map[hsm.KeyID]*hsm.Description
}

// Examine makes all checks, one after the other.
func (d *Doctor) Examine(ctx context.Context) []Result {
	e := &examination{
		Config:       d.config,
		attestations: map[attest.Authority]*attest.Result{},
		access:       map[string]secmem.Text{},
		keys:         map[hsm.KeyID]*hsm.Description{},
	}
	var results []Result
	for _, c := range e.checks() {
		results = append(results, d.try(ctx, c, results))
	}
	return results
}

// try makes one check, unless what it needs has failed.
func (d *Doctor) try(ctx context.Context, c check, before []Result) Result {
	result := Result{Check: c.name, Subject: c.subject}
	if blocked := c.blocked(before); blocked != "" {
		result.Status, result.Evidence = Skipped, "not looked at, because "+blocked+" did not succeed"
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	var found finding
	err := crash.Guard(func() (err error) {
		found, err = c.look(ctx)
		return err
	})
	if err != nil {
		found = failed(err)
	}
	result.Status, result.Evidence, result.Fix, result.Err = found.status, found.evidence, found.fix, found.err
	return result
}

// Package doctor finds out what keeps a machine from getting its keys.
//
// It follows a release, one step after the other, and looks at each alone: the report,
// its certificates, the security context, the services and their clock, the identity, the
// attestation, the key with its policy, and the release itself. A step that needs an
// earlier one that failed is skipped, so the first failure is the cause:
//
//	results := doctor.New(doctor.Config{Attester: attester, …}).Examine(ctx)
//	if first := check.FirstFailure(results); first != nil {
//		fmt.Println(first.Name, first.Found, first.Fix)
//	}
//
// It changes nothing: a released key is wiped at once. It shows no secret, and no claim
// whose value somebody chose freely.
package doctor

import (
	"context"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/hsm"
	"skr/internal/check"
	"skr/internal/crash"
	"skr/internal/secmem"
)

const defaultTimeout = 20 * time.Second

// Doctor examines a machine. It is safe for concurrent use.
type Doctor struct{ config Config }

// New returns a Doctor. It makes no request yet.
func New(c Config) *Doctor {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Collateral == nil {
		c.Collateral = func() error { return nil }
	}
	if c.Problems == nil {
		c.Problems = func() []Problem { return nil }
	}
	return &Doctor{c}
}

// examination holds what earlier steps found for later ones.
type examination struct {
	Config
	platform     attest.Platform
	report       *snp.Report      // nil with Trusted Launch and on TDX
	tdQuote      *tdx.Quote       // nil except on TDX
	tdResult     *tdx.Result      // of the verification with collateral; nil before that, and except on TDX
	guest        *attest.Evidence // nil without a virtual TPM
	attestations map[attest.Authority]*attest.Result
	access       map[string]secmem.Text // by audience
	keys         map[hsm.KeyID]*hsm.Description
	uncalled     *Problem // of the sidecar on this machine; nil if something has called it
}

// Examine makes all steps, one after the other.
func (d *Doctor) Examine(ctx context.Context) []check.Result {
	e := &examination{
		Config:       d.config,
		attestations: map[attest.Authority]*attest.Result{},
		access:       map[string]secmem.Text{},
		keys:         map[hsm.KeyID]*hsm.Description{},
	}
	var results []check.Result
	for _, s := range e.steps() {
		results = append(results, d.try(ctx, s, results))
	}
	if e.uncalled != nil {
		results = append(results, d.try(ctx, startStep(*e.uncalled), results))
	}
	return results
}

// try makes one step, unless a step that it needs has failed.
func (d *Doctor) try(ctx context.Context, s step, before []check.Result) check.Result {
	if blocked := s.blocked(before); blocked != "" {
		reason := "not looked at, because " + blocked + " did not succeed"
		return check.Result{Name: s.name, Subject: s.subject, Outcome: check.Skipped, Found: reason}
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	var found check.Result
	err := crash.Guard(func() (err error) {
		found, err = s.look(ctx)
		return err
	})
	if err != nil {
		found = failure(err)
	}
	found.Name, found.Subject = s.name, s.subject
	return found
}

package conformance

import (
	"context"
	"errors"
	"net/http"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/operator/inspect"
	"skr/internal/secmem"
)

// Version is the version of the suite. It changes with its checks.
const Version = "1"

// Config is what a run needs.
type Config struct {
	// Authority is the attestation service; the release policies of keys name it.
	Authority attest.Authority
	// Vaults are Key Vaults and Managed HSMs.
	Vaults []hsm.Vault
	// Transport sends the requests.
	Transport http.RoundTripper
	// Token returns an access token for the audience of a vault.
	Token func(ctx context.Context, audience string) (secmem.Text, error)
	// Foreign returns an access token for another audience than that of a vault. With nil, the check
	// that needs it is skipped.
	Foreign func(ctx context.Context) (secmem.Text, error)
	// Expired is an access token for a vault that has expired, by audience.
	Expired map[string]secmem.Text
	// Write makes the checks that create keys.
	Write bool
	// Evidence is of a machine that the attestation service accepts, or nil. RuntimeData replaces the
	// runtime data in it.
	Evidence    *inspect.Evidence
	RuntimeData []byte
	// Names keeps the host names in the report.
	Names bool
	// Program is the version of the program, for the report.
	Program string
	// Progress is called after each check; nil disables the callback.
	Progress func(Outcome)

	pause func(context.Context, time.Duration) error // for tests; nil waits
}

// Run makes all checks and removes the keys that it has made. If ctx ends, the remaining checks are
// skipped.
func Run(ctx context.Context, c Config) (*Report, error) {
	return newRun(c).all(ctx)
}

// run is one run of the suite.
type run struct {
	config Config
	parts  []part
}

// part are the checks of one service.
type part struct {
	session *session
	checks  []check
}

func newRun(c Config) *run {
	r := &run{config: c}
	m := newMachine(c)
	r.parts = append(r.parts, part{forAuthority(&r.config, m), authorityChecks()})
	for _, v := range c.Vaults {
		s := forVault(&r.config, m, v)
		r.parts = append(r.parts, part{s, vaultChecks(s)})
	}
	return r
}

func (r *run) all(ctx context.Context) (*Report, error) {
	if r.config.Transport == nil || r.config.Token == nil {
		return nil, errors.New("conformance: Transport and Token are required")
	}
	report := newReport(r.config, r.parts, time.Now())
	for _, part := range r.parts {
		for _, c := range part.checks {
			report.add(part.session.do(ctx, c, r.config.Transport))
			if r.config.Progress != nil {
				r.config.Progress(report.Checks[len(report.Checks)-1])
			}
		}
		report.Left = append(report.Left, part.session.clean(ctx, r.config.Transport)...)
	}
	report.finish()
	return report, nil
}

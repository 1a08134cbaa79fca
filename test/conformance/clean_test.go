package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/secmem"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/emulator/vault"
)

// keysOf returns the names of the keys that a vault has, deleted ones too.
func keysOf(t *testing.T, s *session) (names []string) {
	t.Helper()
	for _, path := range []string{"/keys", "/deletedkeys"} {
		token, err := s.token(t.Context())
		must(t, err)
		got, err := s.send(t.Context(), s.config.Transport, request{method: http.MethodGet, path: path, api: stable, token: token})
		must(t, err)
		if got.status != http.StatusOK {
			t.Fatalf("%s: status %d", path, got.status)
		}
		for _, kid := range lookup(got.json, "value[].kid") {
			names = append(names, textOf(kid))
		}
	}
	return names
}

// nothingLeft fails if a vault of the run has a key.
func nothingLeft(t *testing.T, c Config) {
	t.Helper()
	for _, part := range newRun(c).parts[1:] {
		if names := keysOf(t, part.session); len(names) > 0 {
			t.Errorf("%s: %v are left", part.session.service, names)
		}
	}
}

// TestInterrupted ends a run after a number of requests that make keys. Nothing is left, and no check fails.
func TestInterrupted(t *testing.T) {
	_, c := azure(t, emulator.Config{})
	transport, vaults := c.Transport, c.Vaults
	for i, after := range []int32{1, 4, 40} {
		c.Vaults = vaults[i%2 : i%2+1]
		ctx, interrupt := context.WithCancel(t.Context())
		var writes atomic.Int32
		c.Transport = afterEach{transport, func(r *http.Request) {
			if r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/keys/skr-conformance-") && writes.Add(1) == after {
				interrupt()
			}
		}}
		report, err := Run(ctx, c)
		must(t, err)
		if report.Summary[Failed] > 0 || report.Summary[Differs] > 0 || len(report.Left) > 0 {
			t.Errorf("%v, left: %v", report.Summary, report.Left)
		}
		if last := report.Checks[len(report.Checks)-1]; last.Result != Skipped || last.Reason != "interrupted" {
			t.Errorf("the last check: %+v", last)
		}
		nothingLeft(t, c)
	}
}

// afterEach calls a function before the answer to each request is given.
type afterEach struct {
	next http.RoundTripper
	do   func(*http.Request)
}

func (a afterEach) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.next.RoundTrip(r)
	a.do(r)
	return answer, err
}

// TestCleansAfterFailures: checks fail, answers to creations are lost, and nothing is left.
func TestCleansAfterFailures(t *testing.T) {
	cloud, c := azure(t, emulator.Config{})
	c.pause = noPause
	c.Vaults = c.Vaults[:1]
	c.Transport = losing{c.Transport}
	must(t, cloud.Faults().Add(fault.Rule{Service: emulator.ServiceRelease, Do: fault.Status, Status: http.StatusInternalServerError}))
	report, err := Run(t.Context(), c)
	must(t, err)
	if report.Summary[Failed] == 0 || report.Summary[Differs] == 0 || len(report.Left) > 0 || report.Passed() {
		t.Errorf("%v, left: %v", report.Summary, report.Left)
	}
	nothingLeft(t, c)
}

// losing loses the answers to the creation of RSA keys, after the vault has made them.
type losing struct{ next http.RoundTripper }

func (l losing) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.next.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/create") && strings.Contains(r.URL.Path, "-rsa-") {
		_ = answer.Body.Close() // the answer is lost
		return nil, errors.New("lost")
	}
	return answer, err
}

// TestCleansInSpiteOfErrors: each deletion and each purge fails twice, without an answer after the vault
// has done it and with 503 before. Nothing is left.
func TestCleansInSpiteOfErrors(t *testing.T) {
	_, c := azure(t, emulator.Config{})
	for i, v := range c.Vaults {
		c, failing := c, &failing{next: c.Transport, failed: make(map[string]int), lost: i == 0}
		c.pause, c.Vaults = noPause, []hsm.Vault{v}
		r := newRun(c)
		r.parts = r.parts[1:]
		r.parts[0].checks = []check{{name: "create", write: true, run: createPlain}}
		report, err := r.all(t.Context())
		must(t, err)
		if report.Summary[Same] != 1 {
			t.Errorf("%v", report.Summary)
		}
		s := r.parts[0].session
		must(t, createPlain(&probe{ctx: t.Context(), s: s, transport: c.Transport}))
		if left := s.clean(t.Context(), failing); len(left) > 0 || len(failing.failed) != 2 {
			t.Errorf("left: %v, after failures of %v", left, failing.failed)
		}
		nothingLeft(t, c)
	}
}

// failing fails the first two deletions of each path.
type failing struct {
	next   http.RoundTripper
	failed map[string]int
	lost   bool // after the deletion, without an answer
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodDelete || f.failed[r.URL.Path] == 2 {
		return f.next.RoundTrip(r)
	}
	f.failed[r.URL.Path]++
	if !f.lost {
		return kept{status: http.StatusServiceUnavailable}.response(r), nil
	}
	if answer, err := f.next.RoundTrip(r); err == nil {
		_ = answer.Body.Close()
	}
	return nil, errors.New("lost")
}

// TestForeignToken: a host for which there is no token gets no token for another service.
func TestForeignToken(t *testing.T) {
	authorities, err := attest.ParseAuthorities([]string{"*.attest.azure.net"})
	must(t, err)
	authority, err := authorities.Parse("a.attest.azure.net")
	must(t, err)
	allowed, err := hsm.ParseVaults([]string{"*.vault.evil.example"})
	must(t, err)
	v, err := allowed.ParseVault("contoso.vault.evil.example")
	must(t, err)
	asked := 0
	report, err := Run(t.Context(), Config{
		Authority: authority, Vaults: []hsm.Vault{v}, pause: noPause,
		Token: func(context.Context, string) (secmem.Text, error) {
			return secmem.Text{}, errors.New("no such resource")
		},
		Foreign: func(context.Context) (secmem.Text, error) { return secmem.NewText("for-another"), nil },
		Transport: afterEach{refusing{}, func(r *http.Request) {
			asked++
			if r.Header.Get("Authorization") == "Bearer for-another" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
		}},
	})
	must(t, err)
	if asked == 0 || report.Summary[Differs] == 0 {
		t.Errorf("%d requests, %v", asked, report.Summary)
	}
}

// refusing answers every request with 401 and no challenge.
type refusing struct{}

func (refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	return kept{status: http.StatusUnauthorized}.response(r), nil
}

// TestCrash: a check that panics fails, and the keys of the run are removed.
func TestCrash(t *testing.T) {
	_, c := azure(t, emulator.Config{})
	r := newRun(c)
	part := &r.parts[1]
	part.checks = []check{
		{name: "create", write: true, run: createPlain},
		{name: "crash", run: func(*probe) error { return part.checks[7].run(nil) }},
	}
	r.parts = r.parts[1:2]
	report, err := r.all(t.Context())
	must(t, err)
	if report.Summary[Same] != 1 || report.Summary[Failed] != 1 || len(report.Left) > 0 {
		t.Errorf("%v, left: %v", report.Summary, report.Left)
	}
	nothingLeft(t, c)
}

// TestInterruptedLogin: an interruption while a login is under way does not keep the keys from being removed.
func TestInterruptedLogin(t *testing.T) {
	_, c := azure(t, emulator.Config{})
	c.Vaults = c.Vaults[:1]
	ctx, interrupt := context.WithCancel(t.Context())
	made, login := false, c.Token
	c.Progress = func(o Outcome) { made = made || o.Name == "create p-256" }
	c.Token = func(ctx context.Context, audience string) (secmem.Text, error) {
		if made {
			interrupt()
		}
		if ctx.Err() != nil {
			return secmem.Text{}, ctx.Err()
		}
		return login(ctx, audience)
	}
	report, err := Run(ctx, c)
	must(t, err)
	if !made || report.Summary[Failed] > 0 || len(report.Left) > 0 {
		t.Errorf("%v, left: %v", report.Summary, report.Left)
	}
	nothingLeft(t, c)
}

// TestSlowVault: deletions, recoveries and purges take some time.
func TestSlowVault(t *testing.T) {
	var mu sync.Mutex
	var ahead time.Duration
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	_, c := azure(t, emulator.Config{Now: now, Vaults: func(_ string, c *vault.Config) { c.DeletionDelay = 7 * time.Second }})
	c.Vaults = c.Vaults[:1] // a Managed HSM has no delay
	c.pause = func(_ context.Context, wait time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		ahead += wait
		return nil
	}
	report, err := Run(t.Context(), c)
	must(t, err)
	for _, o := range report.Checks {
		if o.Result != Same {
			t.Errorf("%s: %s: %s %s %q", o.Service, o.Name, o.Result, o.Reason, o.Differences)
		}
	}
	if len(report.Left) > 0 || ahead == 0 {
		t.Errorf("left: %v after %s", report.Left, ahead)
	}
}

// TestPurgeProtection: what cannot be purged is named on the screen and counted in the report.
func TestPurgeProtection(t *testing.T) {
	_, c := azure(t, emulator.Config{Vaults: func(_ string, c *vault.Config) { c.PurgeProtection = true }})
	c.Vaults = c.Vaults[:1]
	report, err := Run(t.Context(), c)
	must(t, err)
	if !report.Passed() || report.Remaining == 0 || report.Remaining != len(report.Left) {
		t.Errorf("%v, %d remain, left: %v", report.Summary, report.Remaining, report.Left)
	}
	var out strings.Builder
	must(t, report.WriteSummary(&out))
	for _, l := range report.Left {
		if !strings.Contains(out.String(), "not removed: key "+l.Key) || !strings.Contains(l.Reason, "retention period") {
			t.Errorf("%+v is missing in\n%s", l, &out)
		}
		text, err := json.Marshal(report)
		must(t, err)
		if strings.Contains(string(text), l.Key) {
			t.Errorf("the report names %s", l.Key)
		}
	}
}

// TestReadOnly: without Write, no request changes a vault, and without evidence nothing is attested.
func TestReadOnly(t *testing.T) {
	_, c := azure(t, emulator.Config{})
	c.Write, c.Evidence = false, nil
	c.Transport = afterEach{c.Transport, func(r *http.Request) {
		change := r.Method == http.MethodPut || r.Method == http.MethodPatch || r.Method == http.MethodDelete && r.URL.Path != certsPath
		if change || strings.HasSuffix(r.URL.Path, "/create") && r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
	}}
	report, err := Run(t.Context(), c)
	must(t, err)
	if !report.Passed() || report.Summary[Same] < 90 || report.Summary[Skipped] == 0 {
		t.Errorf("%v", report.Summary)
	}
	reasons := []string{"", "it changes the vault; use --write", "it needs evidence of a machine; use --evidence and --runtime-data"}
	for _, o := range report.Checks {
		if !slices.Contains(reasons, o.Reason) {
			t.Errorf("%s: %s: %s", o.Service, o.Name, o.Reason)
		}
	}
	nothingLeft(t, c)
}

// TestFaults: the emulator answers wrong, and the checks that are about it see it.
func TestFaults(t *testing.T) {
	cloud, c := azure(t, emulator.Config{})
	c.pause = noPause
	vaults := map[string][]hsm.Vault{"vault": c.Vaults[:1], "managedhsm": c.Vaults[1:]}
	for _, row := range []struct {
		rule   string
		differ []string
	}{
		{"maa/certs:status=503", []string{"signing keys", "signing certificates", "signature of the token"}},
		{"maa/certs:content-type", []string{"signing keys"}},
		{"maa/discovery:not-json", []string{"OpenID configuration"}},
		{"maa/attest:forge=alg-none", []string{"header of the token"}},
		{"maa/attest:forge=other-issuer", []string{"claims of the token"}},
		{"maa/attest:forge=expired", []string{"claims of the token"}},
		{"maa/attest:forge=other-signature", []string{"signature of the token"}},
		{"maa/attest:forge=unknown-kid", []string{"signature of the token"}},
		{"vault/release:status=200", []string{"release to a forged token", "release without a token"}},
		{"vault/keys:content-type", []string{"headers of an answer"}},
		{"managedhsm/release:forge=other-alg", []string{"release"}},
		{"managedhsm/keys:not-json", []string{"list keys", "an unknown key"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			rule, err := fault.ParseRule(row.rule)
			must(t, err)
			must(t, cloud.Faults().Add(rule))
			defer cloud.Faults().Clear()
			service, _, _ := strings.Cut(row.rule, "/")
			c.Vaults = vaults[service]
			seen := make(map[string]bool)
			c.Progress = func(o Outcome) {
				if o.Result == Differs || o.Result == Failed {
					seen[o.Name] = true
				}
			}
			_, err = Run(t.Context(), c)
			must(t, err)
			for _, name := range row.differ {
				if !seen[name] {
					t.Errorf("%q found no difference; these did: %v", name, seen)
				}
			}
		})
	}
}

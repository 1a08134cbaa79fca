package e2e

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/api"
	"skr/attest/tdx"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/tdxtest"
)

// breakQuotes breaks the quote service of the host.
func (l *vmLab) breakQuotes(t *testing.T, what string) {
	t.Helper()
	rule, err := fault.ParseRule(emulator.ServiceQuote + ":" + what)
	if err == nil {
		err = l.Faults().Add(rule)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// flipped changes a byte of header and body of a quote of version 4, before it is signed.
func flipped(at int) func(*emulator.IntelConfig) {
	return func(c *emulator.IntelConfig) { c.Quote.Signed = func(signed []byte) { signed[at] ^= 1 } }
}

// unready starts a sidecar that may never be ready.
func (l *vmLab) unready(t *testing.T, env ...string) *sidecar {
	t.Helper()
	s := start(t, append(l.Environment(l.vm), env...))
	eventually(t, "skr listens", func() bool { _, err := s.client.Status(t.Context()); return err == nil })
	return s
}

// A host that does not quote, or quotes something else, is no reason to release, and its faults
// are told apart.
func TestQuoteHosts(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, Paravisor: hasty()})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=0")
	const body = 48
	for _, c := range []struct {
		name, fault string
		intel       func(*emulator.IntelConfig)
		td          func(*tdxtest.TD)
		want        error // nil for a release
		words       string
	}{
		{name: "content type refused", fault: "status=415", want: api.NoEvidence, words: "status 415"},
		{name: "no such route", fault: "status=404", want: api.NoEvidence, words: "status 404"},
		{name: "busy once", fault: "status=503,count=1"},
		{name: "throttled once", fault: "status=429,count=1,retry-after=1s"},
		{name: "too long", fault: "oversize", want: api.NoEvidence, words: "TDX quote"},
		{name: "not JSON", fault: "not-json", want: api.NoEvidence, words: "the answer"},
		{name: "another MRTD", intel: flipped(body + 136), want: api.NoEvidence, words: "differ in MRTD"},
		{name: "another REPORTDATA", intel: flipped(body + 520), want: api.NoEvidence, words: "differ in REPORTDATA"},
		{name: "another enclave", intel: func(c *emulator.IntelConfig) { c.Quote.QE = func(qe []byte) { qe[256] ^= 1 } }, want: api.NoEvidence, words: "QE report"},
		{name: "debugging", td: func(td *tdxtest.TD) { td.Attributes = new(tdx.Attributes(1)) }, want: api.NoEvidence, words: "DEBUG"},
		{name: "version 5", intel: func(c *emulator.IntelConfig) { c.Quote.Version = 5 }},
		{name: "good"},
	} {
		l.Faults().Clear()
		if c.fault != "" {
			l.breakQuotes(t, c.fault)
		}
		l.UpdateIntel(func(config *emulator.IntelConfig) {
			*config = emulator.IntelConfig{}
			if c.intel != nil {
				c.intel(config)
			}
		})
		l.vm.UpdateTD(func(td *tdxtest.TD) {
			td.Attributes = nil
			if c.td != nil {
				c.td(td)
			}
		})
		_, err := s.client.Release(t.Context(), l.request())
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: error %v, want %v with %q", c.name, err, c.want, c.words)
		}
	}
	if attested := l.Faults().Requests(emulator.ServiceAttest); attested != 4 {
		t.Errorf("%d attestations, want only those of the 4 releases", attested)
	}
}

// The paravisor's claims must be those that the TD report binds.
func TestOtherClaims(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, SpoilHCL: func(index []byte) {
		copy(index, bytes.Replace(index, []byte(`"secure-boot":true`), []byte(`"secure-boot":null`), 1))
	}})
	s := l.unready(t)
	if _, err := s.client.Release(t.Context(), l.request()); !errors.Is(err, api.NoEvidence) || !strings.Contains(err.Error(), "claims") {
		t.Errorf("error %v", err)
	}
	if quoted := l.Faults().Requests(emulator.ServiceQuote); quoted != 0 {
		t.Errorf("the host was asked for %d quotes", quoted)
	}
}

// tcb_status decides about the TCB level. Without it, the lack of collateral is a problem in
// /status, and a level that is not the newest is told.
func TestTCBStatus(t *testing.T) {
	t.Parallel()
	nowhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nowhere.Close)
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, Paravisor: hasty()})
	outOfDate := func(c *emulator.IntelConfig) { c.Collateral.TCBInfo = tdxtest.OutOfDate }
	for _, c := range []struct {
		name    string
		env     []string
		intel   func(*emulator.IntelConfig)
		want    error
		words   string
		problem string
		log     string
	}{
		{name: "not looked at", log: "not looked at: the TCB level"},
		{name: "up to date", env: []string{"SKR_COLLATERAL_SOURCES=pccs", "SKR_TCB_STATUS=UpToDate"}, log: "UpToDate"},
		{name: "by Intel's service", env: []string{"SKR_COLLATERAL_SOURCES=pcs", "SKR_TCB_STATUS=UpToDate"}, log: "UpToDate"},
		{name: "old, not demanded", env: []string{"SKR_COLLATERAL_SOURCES=pccs"}, intel: outOfDate, log: "OutOfDate"},
		{name: "old, accepted", env: []string{"SKR_COLLATERAL_SOURCES=pccs", "SKR_TCB_STATUS=UpToDate,OutOfDate"}, intel: outOfDate, log: "OutOfDate"},
		{name: "old, demanded", env: []string{"SKR_COLLATERAL_SOURCES=pccs", "SKR_TCB_STATUS=UpToDate"}, intel: outOfDate,
			want: api.NoEndorsements, words: "OutOfDate"},
		{name: "missing, not demanded", env: []string{"SKR_COLLATERAL_SOURCES=pccs", "SKR_PCCS_URL=" + nowhere.URL},
			problem: "PCCS: TCB info: answered with status 404", log: "not looked at: the TCB level"},
		{name: "missing, demanded", env: []string{"SKR_COLLATERAL_SOURCES=pccs", "SKR_PCCS_URL=" + nowhere.URL, "SKR_TCB_STATUS=UpToDate"},
			want: api.NoEndorsements, words: "tcb_status demands", problem: "status 404", log: "PCCS: TCB info: answered with status 404"},
		{name: "no sources, demanded", env: []string{"SKR_TCB_STATUS=UpToDate"}, want: api.NoEndorsements, words: "tcb_status demands", log: "there are no sources"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.UpdateIntel(func(config *emulator.IntelConfig) {
				*config = emulator.IntelConfig{}
				if c.intel != nil {
					c.intel(config)
				}
			})
			s := l.unready(t, c.env...)
			if c.want == nil {
				s.ready(t)
			}
			_, err := s.client.Release(t.Context(), l.request())
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v, want %v with %q", err, c.want, c.words)
			}
			status, err := s.client.Status(t.Context())
			if problem := problemOf(status.Problems, "TDX collateral"); err != nil || (problem != "") != (c.problem != "") || !strings.Contains(problem, c.problem) {
				t.Errorf("problem %q, error %v, want %q", problem, err, c.problem)
			}
			if line := map[bool]string{true: `"ready"`, false: `"not ready"`}[c.want == nil]; c.log != "" && !hasLine(s.log.String(), line, c.log) {
				t.Errorf("%q is not in the log\n%s", c.log, s.log)
			}
		})
	}
}

// A sidecar without privileges uses the TPM through the agent, and the host itself.
func TestAgentOfTDX(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX})
	dir, end := l.agent(t)
	s := l.sidecar(t, lent(dir)...)
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("through the agent: %v", err)
	}
	if _, err := s.client.Report(t.Context(), []byte("data")); err != nil {
		t.Errorf("a report through the agent: %v", err)
	}
	if err := end(); err != nil {
		t.Errorf("the agent ended with %v", err)
	}
}

package e2e

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"skr/api"
	"skr/attest/tdx"
	"skr/test/emulator"
	"skr/test/tdxtest"
	"skr/test/vtpmtest"
)

// expectRefusal requests a release, which must end with this code and these words.
func (l *vmLab) expectRefusal(t *testing.T, s *sidecar, want api.Code, words string) {
	t.Helper()
	_, err := s.client.Release(t.Context(), l.request())
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || refused.Code != want || !strings.Contains(refused.Message, words) {
		t.Errorf("error %v, want %s with %q", err, want, words)
	}
}

// A false quote of the host never leaves the machine, whatever is false in it.
func TestTDXForgeries(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, Paravisor: hasty()})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=0")
	for i, f := range tdxtest.Forgeries() {
		t.Run(f.Name, func(t *testing.T) {
			l.UpdateIntel(func(c *emulator.IntelConfig) { c.Quote.Version = uint16(4 + i%2) })
			l.forge(t, emulator.ServiceQuote, f.Name)
			words := f.Text
			switch {
			case strings.HasPrefix(f.Name, "body-"), f.Tells != "", errors.Is(f.Err, tdx.ErrNotBound):
				words = "comparing quote and TD report" // before signatures are verified
			case f.Name == "empty":
				words = "the answer has no quote"
			}
			l.expectRefusal(t, s, api.NoEvidence, words)
		})
	}
	if n := l.Faults().Requests(emulator.ServiceAttest); n != 0 {
		t.Errorf("%d quotes were sent to the authority", n)
	}
	l.Faults().Clear()
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("a good release afterwards: %v", err)
	}
}

// A TD under debug or that can migrate is refused even if the report says so, too.
func TestTDXAttributes(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, Paravisor: hasty()})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=0")
	for bit, words := range map[uint]string{0: "DEBUG", 4: "TUD", 29: "MIGRATABLE"} {
		attributes := tdx.Attributes(1<<28 | 1<<bit)
		l.vm.UpdateTD(func(td *tdxtest.TD) { td.Attributes = &attributes })
		l.expectRefusal(t, s, api.NoEvidence, words)
	}
	if n := l.Faults().Requests(emulator.ServiceAttest); n != 0 {
		t.Errorf("%d quotes were sent to the authority", n)
	}
}

// A false report of the paravisor is refused, by skr or by the host that quotes it. One that says
// that there is no report makes the machine one of Trusted Launch, which the key's policy refuses.
func TestTDXFalseHCLReports(t *testing.T) {
	t.Parallel()
	var spoil atomic.Pointer[func([]byte)]
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, Paravisor: hasty(), SpoilHCL: func(index []byte) {
		if change := spoil.Load(); change != nil {
			(*change)(index)
		}
	}})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=0")
	for _, f := range vtpmtest.Forgeries() {
		t.Run(f.Name, func(t *testing.T) {
			spoil.Store(&f.Spoil)
			want, words := api.NoEvidence, f.Text
			switch {
			case f.Name == "hcl-type-of-trusted-launch":
				want, words = api.ReleaseRejected, ""
			case words == "":
				words = "status 400" // of the host, which checks the MAC
			}
			l.expectRefusal(t, s, want, words)
		})
	}
	spoil.Store(nil)
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("a good release afterwards: %v", err)
	}
}

// With tcb_status, collateral that is false, old, missing or of a low level keeps the key back.
// The first source that has good collateral is enough.
func TestTDXCollateral(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, Paravisor: hasty()})
	demanding := []string{"SKR_ATTESTATION_MAX_AGE=0", "SKR_TCB_STATUS=UpToDate"}
	for _, name := range []string{
		"tcb-info-changed", "tcb-info-out-of-date", "tcb-info-module-signer", "qe-identity-mrsigner", "pck-crl-other-vendor", "authority-revoked", "crl-no-der",
		"all-expired",
	} {
		t.Run(name, func(t *testing.T) {
			l.forge(t, emulator.ServicePCS, name)
			s := startListening(t, append(l.Environment(l.vm), append(demanding, "SKR_COLLATERAL_SOURCES=pcs")...))
			l.expectRefusal(t, s, api.NoEndorsements, "")
			escaped := strings.Trim(strconv.Quote(textOf(t, name)), `"`)
			eventually(t, "the log says "+escaped, func() bool { return strings.Contains(s.log.String(), escaped) })
		})
	}
	l.Faults().Clear()
	l.forge(t, emulator.ServicePCCS, "tcb-info-other-vendor")
	s := l.sidecar(t, append(demanding, "SKR_COLLATERAL_SOURCES=pccs,pcs")...)
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("with good collateral of the second source: %v", err)
	}
	none := startListening(t, append(l.Environment(l.vm), demanding...))
	l.expectRefusal(t, none, api.NoEndorsements, "tcb_status demands")
	l.Faults().Clear()
	l.UpdateIntel(func(c *emulator.IntelConfig) { c.Collateral.TCBInfo = tdxtest.OutOfDate })
	tolerant := l.sidecar(t, "SKR_TCB_STATUS=UpToDate,OutOfDate", "SKR_COLLATERAL_SOURCES=pcs")
	if _, err := tolerant.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("with a status that is accepted: %v", err)
	}
}

func textOf(t *testing.T, name string) string {
	t.Helper()
	for _, f := range tdxtest.CollateralForgeries() {
		if f.Name == name {
			return f.Text
		}
	}
	t.Fatalf("there is no forgery %q", name)
	return ""
}

// A quote that is cut off or elsewhere is no reason to release.
func TestTDXQuoteEndpoint(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TDX, Paravisor: hasty()})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=0", "SKR_REQUEST_TIMEOUT=10s")
	for rule, want := range map[string]api.Code{"truncate": api.Unavailable, "redirect=http://127.0.0.1:1/": api.NoEvidence} {
		t.Run(rule, func(t *testing.T) {
			l.Faults().Clear()
			l.fault(t, emulator.ServiceQuote+":"+rule)
			l.expectRefusal(t, s, want, "")
		})
	}
}

package attest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/tpm"
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/internal/refusal"
	"skr/test/snptest"
	"skr/test/swtpm"
	"skr/test/tdxtest"
	"skr/test/vtpmtest"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// hasty is a paravisor's clock that advances at each look, so that tests do not wait
// two seconds.
func hasty() func() time.Time {
	var looks atomic.Int64
	return func() time.Time { return today.Add(time.Duration(looks.Add(3)) * time.Second) }
}

func newChip(t *testing.T) *snptest.Chip {
	t.Helper()
	vendor, err := snptest.NewVendor(snp.Milan, today)
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	return chip
}

// of returns an Attester for the machine's virtual TPM.
func of(t *testing.T, machine *swtpm.Machine, change func(*VirtualTPMConfig)) *Attester {
	t.Helper()
	log := filepath.Join(t.TempDir(), "event-log")
	if err := os.WriteFile(log, machine.EventLog(), 0o600); err != nil {
		t.Fatal(err)
	}
	config := VirtualTPMConfig{Address: machine.Address(), EventLog: log, Roots: rootsOf(t, machine), Now: time.Now}
	if change != nil {
		change(&config)
	}
	return NewAttester(Config{VirtualTPM: NewVirtualTPM(config), Endorser: endorser{chain: new(vcek.Chain)}})
}

func rootsOf(t *testing.T, machine *swtpm.Machine) *vtpm.Roots {
	t.Helper()
	var text []byte
	for _, certificate := range [][]byte{machine.Root().Raw, machine.Intermediate().Raw} {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	}
	roots, err := vtpm.ParseRoots(text)
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// One machine's evidence, as Verifiers and operators get it.
func TestConfidentialVM(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{Chip: newChip(t), Now: hasty()})
	a := of(t, machine, nil)
	if platform, err := a.Platform(t.Context()); err != nil || platform != ConfidentialVM || !platform.HasTPM() {
		t.Fatalf("platform %s, error %v", platform, err)
	}
	for _, text := range []string{`{"a":1}`, `{"b":2}`} {
		data := []byte(text)
		evidence, err := a.Evidence(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		bound := snp.Bind(data)
		if got, _ := evidence.Guest.HCL.Claims().UserData(); !bytes.Equal(got, bound[:]) {
			t.Errorf("user data %x, want %x", got, bound)
		}
		if evidence.Report.ReportData() != snp.Bind(evidence.Bound()) {
			t.Error("the report is not over the claims")
		}
		quote, err := vtpm.ParseQuote(evidence.Guest.Quote.Info)
		sum := sha256.Sum256(data)
		if err != nil || quote.CheckNonce(sum[:]) != nil {
			t.Errorf("the quote has the nonce %x (%v)", quote.Nonce(), err)
		}
		if !bytes.Equal(evidence.Guest.Log, machine.EventLog()) || len(evidence.Guest.Certificate) == 0 {
			t.Error("the log or the certificate is missing")
		}
	}
	report, err := a.Report(t.Context(), []byte("other"))
	if err != nil || report.Guest.HCL == nil || report.Chain != nil {
		t.Errorf("report %+v, error %v", report, err)
	}
	if loaded, err := machine.Loaded(); err != nil || loaded != 0 {
		t.Errorf("%d objects stayed in the TPM (%v)", loaded, err)
	}
}

func TestTrustedLaunch(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{})
	a := of(t, machine, nil)
	if platform, err := a.Platform(t.Context()); err != nil || platform != TrustedLaunch {
		t.Fatalf("platform %s, error %v", platform, err)
	}
	evidence, err := a.Evidence(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	quote, err := vtpm.ParseQuote(evidence.Guest.Quote.Info)
	if err != nil || len(quote.Nonce()) != 0 || evidence.Report != nil || evidence.Guest.HCL != nil {
		t.Errorf("evidence %+v, nonce %x, error %v", evidence, quote.Nonce(), err)
	}
	if _, err := a.Report(t.Context(), []byte("x")); !errors.Is(err, ErrNoEvidence) || !strings.Contains(err.Error(), "Trusted Launch") {
		t.Errorf("a report of the processor: error %v", err)
	}
}

// The key opens what is wrapped to it. If it fails, the error tells whose fault it is.
func TestGuestKey(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{})
	evidence, err := of(t, machine, nil).Evidence(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	key := evidence.Guest.Key
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.RSA(), []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	open := func() ([]byte, error) { return key.Decrypter(t.Context()).DecryptOAEP(crypto.SHA256, wrapped) }
	if got, err := open(); err != nil || string(got) != "secret" {
		t.Errorf("%q, error %v", got, err)
	}
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, key.RSA(), []byte("inner")) //nolint:staticcheck // MAA's envelope has it
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.DecryptRSAES(t.Context(), sealed); err != nil || string(got) != "inner" {
		t.Errorf("%q, error %v", got, err)
	}
	refused := false
	for range 4 { // one in 256 OAEP messages looks like RSAES padding
		other, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.RSA(), []byte("secret"), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = key.DecryptRSAES(t.Context(), other)
		if refused = refused || err != nil; errors.Is(err, refusal.NoEvidence) {
			t.Errorf("other padding counts as the TPM's fault: %v", err)
		}
	}
	if !refused {
		t.Error("other padding is accepted")
	}
	if err := machine.Extend(4, []byte("another program was started")); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); !errors.Is(err, refusal.NoEvidence) || !strings.Contains(err.Error(), "try again") {
		t.Errorf("after a PCR changed: error %v", err)
	}
	if err := machine.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); !errors.Is(err, refusal.NoEvidence) || !strings.Contains(err.Error(), "virtual TPM did not open") {
		t.Errorf("a TPM that is gone: error %v", err)
	}
}

func TestVirtualTPMRefuses(t *testing.T) {
	other, err := vtpmtest.NewAK()
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := vtpm.ParseRoots(other.RootsPEM())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		machine swtpm.Config
		change  func(*VirtualTPMConfig)
		want    string
	}{
		"an authority that is not trusted": {swtpm.Config{}, func(c *VirtualTPMConfig) { c.Roots = strangers }, "ak_roots"},
		"a certificate that expired": {
			swtpm.Config{}, func(c *VirtualTPMConfig) { c.Now = func() time.Time { return time.Now().AddDate(2, 0, 0) } }, "expired",
		},
		"a certificate of another key": {swtpm.Config{OtherKeyCertified: true}, nil, "for another key than its attestation key"},
		"no certificate":               {swtpm.Config{CertificateSize: -1}, nil, "not finished setting the machine up"},
		"no TPM":                       {swtpm.Config{}, func(c *VirtualTPMConfig) { c.Address = "/nonexistent/tpm" }, "no virtual TPM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := of(t, swtpm.Require(t, c.machine), c.change).Evidence(t.Context(), nil)
			if !errors.Is(err, ErrNoEvidence) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// A confidential VM's certificate is included in the evidence, but no check relies on it.
func TestConfidentialVMNeedsNoCertificate(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{Chip: newChip(t), CertificateSize: -1})
	evidence, err := of(t, machine, nil).Evidence(t.Context(), nil)
	if err != nil || len(evidence.Guest.Certificate) != 0 {
		t.Errorf("certificate %x, error %v", evidence.Guest.Certificate, err)
	}
}

// An unreadable certificate is left out if no check relies on it. Otherwise it is
// refused.
func TestUnreadableCertificate(t *testing.T) {
	spoil := func(index []byte) { clear(index) }
	confidential := swtpm.Require(t, swtpm.Config{Chip: newChip(t), SpoilCertificate: spoil})
	evidence, err := of(t, confidential, nil).Evidence(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(evidence.Guest.Certificate) != 0 || len(evidence.Omitted) != 1 || evidence.Omitted[0].Part != AKCertificate {
		t.Errorf("certificate %x, omitted %v", evidence.Guest.Certificate, evidence.Omitted)
	}
	launched := swtpm.Require(t, swtpm.Config{SpoilCertificate: spoil})
	if _, err := of(t, launched, nil).Evidence(t.Context(), nil); !errors.Is(err, ErrNoEvidence) {
		t.Errorf("with Trusted Launch: %v", err)
	}
}

// addHCL accepts only claims that the report covers and that name this TPM's key.
func TestHCLMustMatchTheTPM(t *testing.T) {
	machine, chip := swtpm.Require(t, swtpm.Config{}), newChip(t)
	opened, err := tpm.Open(machine.Address())
	if err != nil {
		t.Fatal(err)
	}
	ak, err := opened.AK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := vtpmtest.NewAK()
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) func([]byte) { return func(index []byte) { index[at] ^= 1 } }
	for name, c := range map[string]struct {
		named   *rsa.PublicKey
		options vtpmtest.HCLOptions
		want    string
	}{
		"good":             {ak.RSA(), vtpmtest.HCLOptions{}, ""},
		"good, version 1":  {ak.RSA(), vtpmtest.HCLOptions{Version: 1}, ""},
		"another key":      {other.Public(), vtpmtest.HCLOptions{}, "was another key put in its place"},
		"a claim changed":  {ak.RSA(), vtpmtest.HCLOptions{Mutate: flip(1236 + 900)}, "comparing the HCL claims with REPORT_DATA"},
		"not a HCL report": {ak.RSA(), vtpmtest.HCLOptions{Mutate: flip(0)}, "does not begin with HCLA"},
	} {
		index, err := vtpmtest.HCL(chip, vtpmtest.Claims(c.named, true), c.options)
		if err != nil {
			t.Fatal(err)
		}
		evidence := &Evidence{Guest: new(Guest)}
		err = evidence.addHCL(index, ak)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || (evidence.Report != nil) != (err == nil) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		named  *rsa.PublicKey
		mutate func([]byte)
		want   string
	}{
		"TDX":                  {ak.RSA(), nil, ""},
		"TDX, another key":     {other.Public(), nil, "was another key put in its place"},
		"TDX, a claim changed": {ak.RSA(), flip(1236 + 900), "comparing the HCL claims with REPORT_DATA"},
		"other hardware":       {ak.RSA(), func(index []byte) { index[1224] = 5 }, "Arm CCA, which is not supported"},
	} {
		evidence := &Evidence{Guest: new(Guest)}
		err = evidence.addHCL(vtpmtest.TDXHCL(tdxtest.TD{}, vtpmtest.Claims(c.named, true), vtpmtest.HCLOptions{Mutate: c.mutate}), ak)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || (evidence.tdReport() != nil) != (err == nil) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// Without a chip, the virtual TPM is asked. Without both, the error names both.
func TestAutomatic(t *testing.T) {
	noChip := source(func(context.Context, snp.ReportData) (*snp.Report, error) { return nil, errors.New("no chip here") })
	machine := swtpm.Require(t, swtpm.Config{Chip: newChip(t), Now: hasty()})
	there := of(t, machine, nil).config.VirtualTPM
	absent := NewVirtualTPM(VirtualTPMConfig{Address: "/nonexistent/tpm"})
	for name, c := range map[string]struct {
		source  source
		virtual *VirtualTPM
		want    Platform
		text    string
	}{
		"chip":    {honest(t), absent, Direct, ""},
		"both":    {honest(t), there, Direct, ""},
		"vTPM":    {noChip, there, ConfidentialVM, ""},
		"neither": {noChip, absent, 0, "no chip here; no virtual TPM"},
		"other data": {func(context.Context, snp.ReportData) (*snp.Report, error) {
			return newReport(t, snp.ReportData{1}), nil
		}, there, 0, "over other data"},
	} {
		a := NewAttester(Config{Source: c.source, VirtualTPM: c.virtual, Endorser: endorser{chain: new(vcek.Chain)}})
		for range 2 { // the second call uses the known source
			got, err := a.Platform(t.Context())
			if got != c.want || (err == nil) != (c.text == "") || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: platform %s, error %v", name, got, err)
			}
		}
		if c.want == ConfidentialVM && a.String() != "the virtual TPM at "+machine.Address() {
			t.Errorf("%s: the source is called %s", name, a)
		}
	}
}

// A log without content is left out. That is not an omission.
func TestUsableLog(t *testing.T) {
	log := vtpmtest.SecureBootLog(true).Raw()
	header := bytes.Index(log, []byte("Spec ID")) + 41 // end of the header
	for name, c := range map[string]struct {
		content []byte // nil if there is no file
		usable  bool
		want    string // part of the error
	}{
		"a log":       {log, true, ""},
		"no file":     {nil, false, ""},
		"empty":       {[]byte{}, false, ""},
		"a text":      {[]byte("a text that is no log at all"), false, "parsing the event log"},
		"cut":         {log[:len(log)-1], false, "parsing the event log"},
		"header only": {log[:header], false, "has no events"},
	} {
		path := filepath.Join(t.TempDir(), "log")
		if c.content != nil {
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := usableLog(path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || (len(got) > 0) != c.usable {
			t.Errorf("%s: %d bytes, error %v; want %q", name, len(got), err, c.want)
		}
	}
}

func TestReadLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if log, err := readLog(file); log != nil || err != nil {
		t.Errorf("a missing log: %x, %v", log, err)
	}
	if _, err := readLog(filepath.Dir(file)); err == nil {
		t.Error("a directory was read as a log")
	}
	if err := os.WriteFile(file, make([]byte, vtpm.MaxLog+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readLog(file); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an endless log: %v", err)
	}
}

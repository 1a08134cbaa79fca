package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/internal/refusal"
)

// attestedPCRs are the PCRs that Azure's attestation service uses for a Linux machine
// (Azure/confidential-computing-cvm-guest-attestation, AttestationClient).
const attestedPCRs vtpm.Selection = 0xff

// VirtualTPMConfig describes a virtual TPM and what to trust about it.
type VirtualTPMConfig struct {
	// Address is the path of a device, or "unix:" and the path of a TPM command socket.
	Address string
	// EventLog is the path of the firmware's log, which may be missing.
	EventLog string
	// Roots certify attestation keys that no report of a processor names.
	Roots *vtpm.Roots
	// Quoter quotes the TD reports of a TDX machine; nil refuses such machines.
	Quoter Quoter
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// VirtualTPM is the TPM of an Azure machine. It is safe for concurrent use.
type VirtualTPM struct {
	config VirtualTPMConfig

	mu     sync.Mutex
	opened *tpm.TPM // nil until the device exists
}

// NewVirtualTPM returns a VirtualTPM. It opens nothing: the device may appear later.
func NewVirtualTPM(c VirtualTPMConfig) *VirtualTPM {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &VirtualTPM{config: c}
}

// String returns the address.
func (v *VirtualTPM) String() string { return v.config.Address }

func (v *VirtualTPM) open() (*tpm.TPM, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.opened != nil {
		return v.opened, nil
	}
	opened, err := tpm.Open(v.config.Address)
	if err != nil {
		return nil, fmt.Errorf("no virtual TPM: %w", err)
	}
	v.opened = opened
	return opened, nil
}

// collect reads the paravisor's report. If there is something to bind, the paravisor makes a
// new one. collect checks the claims against the report, which is not endorsed yet.
func (v *VirtualTPM) collect(ctx context.Context, bound binding) (*Evidence, error) {
	t, err := v.open()
	if err != nil {
		return nil, err
	}
	ak, err := t.AK(ctx)
	if err != nil {
		return nil, err
	}
	evidence := &Evidence{RuntimeData: bound.runtimeData, Guest: &Guest{AK: ak.Area()}, bound: bound}
	index, err := readHCL(ctx, t, bound)
	switch {
	case errors.Is(err, tpm.ErrAbsent):
		return evidence, nil // Trusted Launch
	case errors.Is(err, tpm.ErrUnwritten):
		return nil, refusal.Because(refusal.NoEvidence, unreadableHCL,
			refusal.Advised(err, "restart the virtual machine, and if that does not help, have it redeployed"))
	case err != nil:
		return nil, err
	}
	return evidence, evidence.addHCL(index, ak)
}

// unreadableHCL is the error of a machine whose index exists and cannot be read. A Trusted
// Launch machine does not have the index, so this machine must not pass for one.
var unreadableHCL = fmt.Sprintf("the index of the paravisor's report (%s) is defined and cannot be read (0x14a): "+
	"this is not a Trusted Launch machine, or its TPM is damaged; restart the virtual machine, and if that does not help, have it redeployed", tpm.HCLReport)

// readHCL reads the index of the paravisor's report. It requests a new report only if
// there is something to bind, because that takes two seconds.
func readHCL(ctx context.Context, t *tpm.TPM, bound binding) ([]byte, error) {
	if !bound.any {
		return t.ReadIndex(ctx, tpm.HCLReport)
	}
	return t.FreshReport(ctx, tpm.Fresh{UserData: tpm.UserData(bound.reportData), Carries: carries})
}

func carries(index []byte, data tpm.UserData) (bool, error) {
	report, err := vtpm.ParseHCL(index)
	if err != nil {
		return false, err
	}
	got, reported := report.Claims().UserData()
	if !reported {
		return false, errors.New("the paravisor of this machine reports no user data, so that nothing can be bound to its report")
	}
	return bytes.Equal(got, data[:]), nil
}

// addHCL adds the report and the claims, if the report binds the claims and they name the
// AK. A TD report proves nothing without its quote, which is added later.
func (e *Evidence) addHCL(index []byte, ak *tpm.PublicKey) error {
	hcl, err := vtpm.ParseHCL(index)
	switch {
	case err != nil:
		return err
	case hcl.Hardware() == vtpm.TrustedLaunch:
		return nil
	case hcl.Report() == nil && hcl.TDReport() == nil: // without its report, the machine must not pass for Trusted Launch
		return refusal.Newf(refusal.NoEvidence, "the paravisor's report is of the hardware %s, which is not supported", hcl.Hardware())
	}
	if err := hcl.CheckBound(); err != nil {
		return refusal.Because(refusal.NoEvidence, err.Error(), err)
	}
	named, err := hcl.Claims().AK()
	if err != nil {
		return refusal.Because(refusal.NoEvidence, err.Error(), err)
	}
	if !named.Equal(ak.RSA()) {
		return refusal.Newf(refusal.NoEvidence, "the attestation key of this TPM is not the one that the paravisor names: was another key put in its place?")
	}
	e.Report, e.Guest.HCL = hcl.Report(), hcl
	return nil
}

// complete adds what the TPM itself says, and verifies it with the attestation key.
func (v *VirtualTPM) complete(ctx context.Context, e *Evidence) error {
	if err := v.add(ctx, e, v.addCertificate, addQuote, addKey); err != nil {
		return err
	}
	e.Guest.Log, e.Guest.LogErr = usableLog(v.config.EventLog)
	e.omit(EventLog, e.Guest.LogErr)
	return nil
}

// addition is a function that adds a part to evidence.
type addition = func(context.Context, *tpm.TPM, *tpm.PublicKey, *Evidence) error

func (v *VirtualTPM) add(ctx context.Context, e *Evidence, parts ...addition) error {
	t, err := v.open()
	if err != nil {
		return err
	}
	ak, err := t.AK(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(ak.Area(), e.Guest.AK) {
		return refusal.Newf(refusal.NoEvidence, "the attestation key of this TPM changed while it was asked")
	}
	for _, part := range parts {
		if err := part(ctx, t, ak, e); err != nil {
			return err
		}
	}
	return nil
}

// addCertificate adds Azure's certificate for the attestation key. It is required only if
// no report of a processor names the key.
func (v *VirtualTPM) addCertificate(ctx context.Context, t *tpm.TPM, ak *tpm.PublicKey, e *Evidence) error {
	der, err := t.ReadAKCertificate(ctx)
	absent := errors.Is(err, tpm.ErrAbsent)
	switch {
	case absent && e.OfProcessor():
		return nil
	case err != nil && e.OfProcessor() && ctx.Err() == nil:
		e.omit(AKCertificate, err)
		return nil
	case absent:
		return refusal.Because(refusal.NoEvidence,
			"this TPM has no certificate for its attestation key yet: Azure has not finished setting the machine up, try again later",
			refusal.Advised(err, "wait until Azure has finished setting the machine up, some minutes after its first start; if it does not end, redeploy the machine"))
	case err != nil:
		return err
	}
	e.Guest.Certificate = der
	if e.OfProcessor() {
		return nil
	}
	certificate, err := vtpm.ParseAKCertificate(der)
	if err != nil {
		return refusal.Because(refusal.NoEvidence, err.Error(), err)
	}
	if err := certificate.Verify(v.config.Roots, nil, v.config.Now()); err != nil {
		return refusal.Newf(refusal.NoEvidence, "%s; ak_roots has other authorities, if the machine is not Azure's", err)
	}
	if !certificate.Key().Equal(ak.RSA()) {
		return refusal.Newf(refusal.NoEvidence, "the certificate in this TPM is for another key than its attestation key")
	}
	return nil
}

// usableLog returns the event log if it has events. The Verifier decides whether the log
// explains the registers.
func usableLog(path string) ([]byte, error) {
	raw, err := readLog(path)
	if err != nil {
		return nil, err
	}
	log, err := vtpm.ParseEventLog(raw)
	switch {
	case errors.Is(err, vtpm.ErrNoLog):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(log.Events()) == 0:
		return nil, fmt.Errorf("%s: it has no events", path)
	}
	return raw, nil
}

// readLog reads the whole file: the kernel reports its size as 0.
func readLog(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the configuration names it
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	log, err := io.ReadAll(io.LimitReader(file, vtpm.MaxLog+1))
	if err == nil && len(log) > vtpm.MaxLog {
		return nil, fmt.Errorf("reading %s: it has more than %d bytes", path, vtpm.MaxLog)
	}
	return log, err
}

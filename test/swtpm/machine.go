package swtpm

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/test/snptest"
)

// startTimeout bounds how long swtpm may take until it listens; it takes 6 ms.
const startTimeout = 10 * time.Second

// fixedVMID is that of a machine that is given none.
const fixedVMID = "7B1C0D2E-5A3F-4E6B-9C8D-0123456789AB"

// Config is what kind of machine it is. The zero value is a Trusted Launch machine.
type Config struct {
	// Chip makes the reports of a confidential machine; nil: there is no HCL report.
	Chip *snptest.Chip
	// Report changes the chip's reports, as in [snptest.Chip.Report].
	Report snptest.Options
	// Now is the paravisor's clock; nil means time.Now. It must be safe for
	// concurrent use.
	Now func() time.Time
	// CertificateSize is that of the AK certificate's index in bytes, at most 2048;
	// zero means exactly the certificate's. A negative one means no index.
	CertificateSize int
	// SpoilCertificate changes what the AK certificate's index holds; nil changes nothing.
	SpoilCertificate func([]byte)
	// OtherKeyCertified puts the EK into the AK's certificate.
	OtherKeyCertified bool
	// HCLSize is that of the HCL report's index; zero means 2600.
	HCLSize int
	// SecureBootOff writes so into the event log and the runtime claims.
	SecureBootOff bool
	// Authority certifies the AK; nil means one of the machine's own.
	Authority *Authority
	// VMID is the machine's identifier, a GUID in capitals; "" means a fixed one.
	VMID string
	// Fault returns the code that a command fails with, given the handles it begins
	// with, or success. It must be safe for concurrent use; nil injects nothing.
	Fault func(code tpm2.TPMCC, first, second tpm2.TPMHandle) tpm2.TPMRC
}

// Machine is a running emulated vTPM.
type Machine struct {
	config   Config
	dir      string
	process  *exec.Cmd
	exited   chan struct{}
	listener net.Listener
	ak, ek   *rsa.PublicKey
	log      []byte

	mu      sync.Mutex // guards what follows: commands come one at a time
	backend net.Conn
	tpm     transport.TPM // over backend
	hcl     hcl
}

// Start runs swtpm and provisions it. [Machine.Close] ends it.
func Start(ctx context.Context, c Config) (_ *Machine, err error) {
	m := &Machine{config: c, exited: make(chan struct{})}
	if m.config.Now == nil {
		m.config.Now = time.Now
	}
	m.config.VMID = cmp.Or(m.config.VMID, fixedVMID)
	// The temporary folder of a test is too long a name for a socket.
	if m.dir, err = os.MkdirTemp("", "swtpm"); err != nil {
		return nil, fmt.Errorf("swtpm: making a folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("swtpm: starting: %w", errors.Join(err, m.Close()))
		}
	}()
	if err := m.launch(ctx); err != nil {
		return nil, err
	}
	if err := m.provision(); err != nil {
		return nil, err
	}
	if m.listener, err = new(net.ListenConfig).Listen(ctx, "unix", m.path("tpm")); err != nil {
		return nil, err
	}
	go m.serve()
	return m, nil
}

func (m *Machine) path(name string) string { return filepath.Join(m.dir, name) }

// launch runs swtpm, which outlives ctx, and connects to it.
func (m *Machine) launch(ctx context.Context) error {
	m.process = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+m.dir,
		"--server", "type=unixio,path="+m.path("backend"), "--ctrl", "type=unixio,path="+m.path("control"),
		"--flags", "not-need-init,startup-clear",
		"--terminate") // with our connection: it does not outlive us either
	if err := m.process.Start(); err != nil {
		close(m.exited)
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("swtpm is not installed (apt-get install swtpm): %w", err)
		}
		return err
	}
	go func() {
		_ = m.process.Wait() // that it was killed is not news
		close(m.exited)
	}()
	return m.connect(ctx)
}

func (m *Machine) connect(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if m.backend, err = new(net.Dialer).DialContext(ctx, "unix", m.path("backend")); err == nil {
			m.tpm = transport.FromReadWriter(m.backend)
			return nil
		}
		select {
		case <-m.exited:
			return fmt.Errorf("it ended at once: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
}

// Close ends swtpm and removes its folder.
func (m *Machine) Close() error {
	if m.listener != nil {
		_ = m.listener.Close() // serve ends
	}
	if m.backend != nil {
		_ = m.backend.Close() // the process ends anyway
	}
	if m.process != nil && m.process.Process != nil {
		_ = m.process.Process.Kill() // it may have ended itself
		<-m.exited
	}
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("swtpm: removing its folder: %w", err)
	}
	return nil
}

// Address is what [skr/attest/tpm.Open] takes: "unix:" and a path.
func (m *Machine) Address() string { return "unix:" + m.path("tpm") }

// EventLog is what the kernel would have in binary_bios_measurements.
func (m *Machine) EventLog() []byte { return m.log }

// VMID is the machine's identifier, as its firmware measures it into PCR 6.
func (m *Machine) VMID() string { return m.config.VMID }

// SetReport changes what later reports say, as Config.Report did.
func (m *Machine) SetReport(o snptest.Options) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config.Report = o
}

// AK is the key that quotes.
func (m *Machine) AK() *rsa.PublicKey { return m.ak }

// Root is the certificate that the AK certificate's chain ends in.
func (m *Machine) Root() *x509.Certificate { return m.config.Authority.root }

// Intermediate is the certificate between the root and the AK certificate.
func (m *Machine) Intermediate() *x509.Certificate { return m.config.Authority.intermediate }

// Authority is who certified the AK.
func (m *Machine) Authority() *Authority { return m.config.Authority }

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

	"skr/attest/tdx"
	"skr/test/snptest"
)

// startTimeout limits how long swtpm may take until it listens. It normally
// takes 6 ms.
const startTimeout = 10 * time.Second

// fixedVMID is the identifier of a machine whose configuration has none.
const fixedVMID = "7B1C0D2E-5A3F-4E6B-9C8D-0123456789AB"

// Config configures a machine. The zero value is a Trusted Launch machine.
type Config struct {
	// Chip makes the reports of a confidential machine with SEV-SNP; nil means
	// none. A machine without Chip and TDReport has no HCL report.
	Chip *snptest.Chip
	// Report changes the chip's reports, as in [snptest.Chip.Report].
	Report snptest.Options
	// TDReport returns TDREPORT_STRUCT of a machine with Intel TDX, which its HCL report then
	// contains instead of a report of Chip; nil means a machine without TDX.
	TDReport func(tdx.ReportData) ([]byte, error)
	// SpoilHCL changes the content of the HCL report's index; nil changes nothing.
	SpoilHCL func([]byte)
	// Now is the paravisor's clock; nil means time.Now. It must be safe for
	// concurrent use.
	Now func() time.Time
	// CertificateSize is the size in bytes of the AK certificate's index, at
	// most 2048; zero means the certificate's size, and a negative value means
	// no index.
	CertificateSize int
	// SpoilCertificate changes the content of the AK certificate's index; nil
	// changes nothing.
	SpoilCertificate func([]byte)
	// OtherKeyCertified certifies the EK instead of the AK.
	OtherKeyCertified bool
	// HCLSize is the size in bytes of the HCL report's index; zero means 2600.
	HCLSize int
	// SecureBootOff reports secure boot as off in the event log and the runtime
	// claims.
	SecureBootOff bool
	// Authority certifies the AK; nil means an authority of the machine's own.
	Authority *Authority
	// VMID is the machine's identifier, a GUID in capitals; "" means a fixed
	// one.
	VMID string
	// Fault returns the code with which a command fails, given its first
	// handles, or success. It must be safe for concurrent use; nil injects
	// nothing.
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

// Start runs swtpm and provisions it. [Machine.Close] stops it.
func Start(ctx context.Context, c Config) (_ *Machine, err error) {
	m := &Machine{config: c, exited: make(chan struct{})}
	if m.config.Now == nil {
		m.config.Now = time.Now
	}
	m.config.VMID = cmp.Or(m.config.VMID, fixedVMID)
	// A test's temporary directory has too long a name for a socket.
	if m.dir, err = os.MkdirTemp("", "swtpm"); err != nil {
		return nil, fmt.Errorf("swtpm: making a directory: %w", err)
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

// confidential reports whether the machine has a paravisor with an HCL report.
func (c *Config) confidential() bool { return c.Chip != nil || c.TDReport != nil }

func (m *Machine) path(name string) string { return filepath.Join(m.dir, name) }

// launch runs swtpm, which may outlive ctx, and connects to it.
func (m *Machine) launch(ctx context.Context) error {
	m.process = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+m.dir,
		"--server", "type=unixio,path="+m.path("backend"), "--ctrl", "type=unixio,path="+m.path("control"),
		"--flags", "not-need-init,startup-clear",
		"--terminate") // when the connection ends, so that it cannot outlive this process
	if err := m.process.Start(); err != nil {
		close(m.exited)
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("swtpm is not installed (apt-get install swtpm): %w", err)
		}
		return err
	}
	go func() {
		_ = m.process.Wait() // killed on purpose
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
			return fmt.Errorf("it exited at once: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
}

// Close stops swtpm and removes its directory.
func (m *Machine) Close() error {
	if m.listener != nil {
		_ = m.listener.Close() // ends serve
	}
	if m.backend != nil {
		_ = m.backend.Close() // the process is killed anyway
	}
	if m.process != nil && m.process.Process != nil {
		_ = m.process.Process.Kill() // it may have exited already
		<-m.exited
	}
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("swtpm: removing its directory: %w", err)
	}
	return nil
}

// Address returns the address for [skr/attest/tpm.Open]: "unix:" and a path.
func (m *Machine) Address() string { return "unix:" + m.path("tpm") }

// EventLog returns the content of the kernel's binary_bios_measurements.
func (m *Machine) EventLog() []byte { return m.log }

// VMID returns the machine's identifier, as its firmware measures it into PCR
// 6.
func (m *Machine) VMID() string { return m.config.VMID }

// SetReport changes later reports, as Config.Report does.
func (m *Machine) SetReport(o snptest.Options) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config.Report = o
}

// AK returns the key that signs quotes.
func (m *Machine) AK() *rsa.PublicKey { return m.ak }

// Root returns the root of the AK certificate's chain.
func (m *Machine) Root() *x509.Certificate { return m.config.Authority.root }

// Intermediate returns the certificate between the root and the AK certificate.
func (m *Machine) Intermediate() *x509.Certificate { return m.config.Authority.intermediate }

// Authority returns the authority that certified the AK.
func (m *Machine) Authority() *Authority { return m.config.Authority }

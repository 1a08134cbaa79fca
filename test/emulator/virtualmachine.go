package emulator

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vtpm"
	"skr/test/emulator/entra"
	"skr/test/swtpm"
	"skr/test/tdxtest"
)

// Platform is the kind of a machine.
type Platform string

// The platforms.
const (
	ACI            Platform = "aci"            // a container group: a report socket and mounted files
	AKSKata        Platform = "aks-kata"       // a pod of AKS confidential containers: as ACI, on another utility VM
	ConfidentialVM Platform = "cvm"            // SEV-SNP behind a paravisor, and its vTPM
	TDX            Platform = "cvm-tdx"        // Intel TDX behind a paravisor, and its vTPM
	TrustedLaunch  Platform = "trusted-launch" // only a vTPM
)

// ParsePlatform parses the name of a platform.
func ParsePlatform(name string) (Platform, error) {
	known := []Platform{ACI, AKSKata, ConfidentialVM, TDX, TrustedLaunch}
	if p := Platform(name); slices.Contains(known, p) {
		return p, nil
	}
	return "", fmt.Errorf("unknown platform %q; use one of %q", name, known)
}

// EventLog is the kind of event log that a virtual machine's firmware leaves.
type EventLog string

// The event logs.
const (
	TrueLog  EventLog = ""      // it matches the TPM's registers
	NoLog    EventLog = "none"  // no file, as on a kernel without a log
	FalseLog EventLog = "false" // a measured program is missing from it
)

const (
	eventLogFile = "event-log"
	akRootsFile  = "ak-roots.pem"
	bootPCR      = 4 // programs that run before the operating system
)

// vmMeasurement is the measurement of a confidential VM. It differs from a
// container group's, so that the two cannot be confused.
var vmMeasurement = snp.Measurement(sha512.Sum384([]byte("TEST ONLY confidential VM")))

// vmMRTD is the measurement of a machine with TDX.
var vmMRTD = tdx.Measurement(sha512.Sum384([]byte("TEST ONLY machine with TDX")))

// startVM runs the machine's TPM. It does not use the clock of the services:
// MachineConfig.Paravisor keeps reports two seconds apart.
func (m *Machine) startVM() error {
	if len(m.config.Containers)+len(m.config.Fragments) > 0 {
		return errNotGroup
	}
	authority, err := m.cloud.tpmAuthority()
	if err != nil {
		return err
	}
	config := swtpm.Config{
		Report: m.options, SecureBootOff: m.config.SecureBootOff, Authority: authority, VMID: strings.ToUpper(entra.GUID()),
		Now: m.config.Paravisor, Fault: m.config.TPMFault, SpoilHCL: m.config.SpoilHCL,
	}
	switch m.config.Platform {
	case ConfidentialVM:
		config.Chip = m.cloud.silicon.chip
	case TDX:
		config.TDReport = m.tdReport
	}
	if m.vtpm, err = swtpm.Start(m.cloud.running, config); err != nil {
		return err
	}
	if err := m.cloud.own(device{m.vtpm}); err != nil {
		return err
	}
	if !m.config.Unendorsed {
		m.endorseVM()
	}
	return m.writeEventLog()
}

func (m *Machine) writeEventLog() error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	switch m.config.EventLog {
	case NoLog:
		return nil
	case FalseLog:
		if err := m.vtpm.Extend(bootPCR, []byte("TEST ONLY a program that is not in the log")); err != nil {
			return err
		}
	case TrueLog:
	default:
		return fmt.Errorf("unknown kind of event log %q", m.config.EventLog)
	}
	return os.WriteFile(m.EventLog(), m.vtpm.EventLog(), 0o600)
}

// TPM returns a virtual machine's emulated device, so that tests can extend
// registers or reset it. It is nil on other platforms.
func (m *Machine) TPM() *swtpm.Machine { return m.vtpm }

// EventLog returns the path of a virtual machine's event log. With NoLog the
// file does not exist.
func (m *Machine) EventLog() string { return filepath.Join(m.dir, eventLogFile) }

// device lets a cloud close a TPM as it closes servers.
type device struct{ *swtpm.Machine }

func (d device) close() error { return d.Close() }

// makeTPMAuthority creates the authority and writes its certificates. Clouds
// without virtual machines do not wait for its keys.
func (c *Cloud) makeTPMAuthority() (*swtpm.Authority, error) {
	authority, err := swtpm.NewAuthority(c.config.Now())
	if err != nil {
		return nil, err
	}
	return authority, os.WriteFile(c.path(akRootsFile), authority.PEM(), 0o600)
}

// akRoots returns the authorities that MAA trusts: Azure's own and the cloud's.
func (c *Cloud) akRoots() []*vtpm.Roots {
	roots := []*vtpm.Roots{vtpm.AzureRoots()}
	authority, err := c.tpmAuthority()
	if err == nil {
		var own *vtpm.Roots
		if own, err = vtpm.ParseRoots(authority.PEM()); err == nil {
			return append(roots, own)
		}
	}
	c.config.Log.Error("making the TPM authority", "error", err)
	return roots
}

// endorseVM adds the machine's measurement to Azure's lists.
func (m *Machine) endorseVM() {
	m.cloud.mu.Lock()
	defer m.cloud.mu.Unlock()
	switch m.config.Platform {
	case ConfidentialVM:
		m.cloud.compliantVMs = append(m.cloud.compliantVMs, m.options.Measurement)
	case TDX:
		m.cloud.compliantTDs[m.td.MRTD] = true
	}
}

// tdReport makes a TD report over data.
func (m *Machine) tdReport(data tdx.ReportData) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	td := m.td
	td.ReportData = data
	return m.cloud.intel.platform.Report(td), nil
}

// UpdateTD changes the contents of a TDX machine's later reports.
func (m *Machine) UpdateTD(change func(*tdxtest.TD)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.td)
}

func (c *Cloud) compliantVM(m snp.Measurement) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.config.CompliantVMs, m) || slices.Contains(c.compliantVMs, m)
}

var (
	errNotVM    = errors.New("only virtual machines have secure boot and an event log")
	errNotGroup = errors.New("only container groups have containers and policy fragments")
)

package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/snp"
	"skr/test/snptest"
	"skr/test/swtpm"
)

const (
	firstMachine  = "machine"
	socketFile    = "report.sock"
	contextDir    = "security-context"
	productionSVN = 100 // ContainerPlat builds below are for tests
)

// DefaultCCEPolicy is the execution policy of a machine that names none.
const DefaultCCEPolicy = "package policy\n\n# skr emulator TEST ONLY: everything is allowed\ndefault allow := true\n"

// Feeds of UVM endorsements, which decide the compliance status.
const (
	FeedACI  = "ContainerPlat-AMD-UVM" // azure-compliant-uvm
	FeedKata = "ConfAKS-AMD-UVM"       // azure-signed-katacc-uvm
)

// MachineConfig describes a machine at its launch.
type MachineConfig struct {
	// Platform is what kind of machine it is; "" means ACI. The other two need
	// swtpm: apt-get install swtpm.
	Platform Platform
	// Policy is a container group's CCE policy; its SHA-256 is HOST_DATA. ""
	// means DefaultCCEPolicy.
	Policy string
	// Report overrides fields of the machine's reports: measurement, guest
	// policy (debug), VMPL. A container group's HostData is taken from Policy where
	// it is zero.
	Report snptest.Options
	// Feed of the UVM endorsement; "" means that of the platform.
	Feed string
	// GuestSVN that is endorsed; 0 means 100, the first of production builds.
	GuestSVN uint64
	// Unendorsed container groups have no reference-info-base64; the measurement
	// of an unendorsed confidential VM is not on MAA's list of compliant ones.
	Unendorsed bool
	// SecureBootOff starts a virtual machine without secure boot.
	SecureBootOff bool
	// EventLog of a virtual machine; "" means one that explains its registers.
	EventLog EventLog
	// Paravisor is the clock by which a confidential VM's reports are two seconds apart;
	// nil means time.Now.
	Paravisor func() time.Time
	// TPMFault returns the code that a command of a virtual machine's TPM fails with, as
	// in [swtpm.Config]; nil injects nothing.
	TPMFault func(code tpm2.TPMCC, first, second tpm2.TPMHandle) tpm2.TPMRC
}

// Machine is one machine: of a container group the report socket and the files
// that the platform mounts, of a virtual machine the TPM and the firmware's log.
// All machines of a cloud share one processor.
type Machine struct {
	name, dir string
	config    MachineConfig
	cloud     *Cloud
	vtpm      *swtpm.Machine // nil: a container group

	mu      sync.Mutex
	options snptest.Options
}

var machineName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

// Machine is the machine that every cloud has; its files are in Config.Dir.
func (c *Cloud) Machine() *Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machines[firstMachine]
}

// AddMachine starts another machine, such as a pod with another CCE policy. Its
// files are in a directory of that name below Config.Dir.
func (c *Cloud) AddMachine(name string, config MachineConfig) (*Machine, error) {
	if err := c.reserve(name); err != nil {
		return nil, fmt.Errorf("emulator: adding a machine: %w", err)
	}
	machine, err := c.newMachine(name, c.path(name), config)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.machines, name)
		return nil, fmt.Errorf("emulator: adding machine %q: %w", name, err)
	}
	c.machines[name] = machine
	return machine, nil
}

func (c *Cloud) reserve(name string) error {
	if !machineName.MatchString(name) || slices.Contains([]string{contextDir, tokenFile, eventLogFile}, name) {
		return fmt.Errorf("the name %q must have lower-case letters, digits and hyphens only", name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.machines[name]; taken {
		return fmt.Errorf("there is a machine %q already", name)
	}
	c.machines[name] = nil
	return nil
}

func (c *Cloud) newMachine(name, dir string, config MachineConfig) (*Machine, error) {
	m := &Machine{name: name, dir: dir, config: config, cloud: c, options: config.Report}
	m.config.Platform = cmp.Or(config.Platform, ACI)
	switch m.config.Platform {
	case ACI:
		return m, m.startGroup(FeedACI)
	case AKSKata:
		return m, m.startGroup(FeedKata)
	case ConfidentialVM:
		m.options.Measurement = cmp.Or(m.options.Measurement, vmMeasurement)
	case TrustedLaunch:
	default:
		_, err := ParsePlatform(string(config.Platform))
		return nil, err
	}
	return m, m.startVM()
}

// startGroup mounts the files of a container group or pod and serves its reports.
func (m *Machine) startGroup(feed string) error {
	if m.config.SecureBootOff || m.config.EventLog != TrueLog {
		return errNotVM
	}
	m.config.Policy = cmp.Or(m.config.Policy, DefaultCCEPolicy)
	m.config.Feed = cmp.Or(m.config.Feed, feed)
	m.config.GuestSVN = cmp.Or(m.config.GuestSVN, productionSVN)
	if m.options.HostData == (snp.HostData{}) {
		m.options.HostData = sha256.Sum256([]byte(m.config.Policy))
	}
	if err := os.MkdirAll(m.SecurityContext(), 0o700); err != nil {
		return err
	}
	if err := m.WriteSecurityContext(); err != nil {
		return err
	}
	return m.listen()
}

func (m *Machine) listen() error {
	s, err := listenSocket(m.cloud.running, m.Socket())
	if err != nil {
		return err
	}
	if err := m.cloud.own(s); err != nil {
		return err
	}
	s.listener = m.cloud.faults.Listener(ServiceReport, s.listener)
	named := func(*http.Request) string { return ServiceReport }
	reports := m.cloud.silicon.chip.ReportHandler(m.current)
	s.http.IdleTimeout = m.cloud.config.IdleTimeout
	s.serve(m.cloud.running, m.cloud.wrap(named, reports), m.cloud.config.Log)
	return nil
}

// Name is what AddMachine was given.
func (m *Machine) Name() string { return m.name }

// Platform is what kind of machine it is.
func (m *Machine) Platform() Platform { return m.config.Platform }

// Socket is the path of a container group's report socket.
func (m *Machine) Socket() string { return filepath.Join(m.dir, socketFile) }

// SecurityContext is the directory of the files that the platform mounts in a
// container group.
func (m *Machine) SecurityContext() string { return filepath.Join(m.dir, contextDir) }

// HostData is HOST_DATA of the next report.
func (m *Machine) HostData() snp.HostData { return m.current().HostData }

// Update changes what later reports say. The mounted files stay as they are,
// as they do on a real machine: call WriteSecurityContext for new ones.
func (m *Machine) Update(change func(*snptest.Options)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.options)
	if m.vtpm != nil {
		m.vtpm.SetReport(m.options)
	}
}

// Chip is the processor below all machines, for firmware updates: SetTCB.
func (c *Cloud) Chip() *snptest.Chip { return c.silicon.chip }

// Vendor is the emulated AMD.
func (c *Cloud) Vendor() *snptest.Vendor { return c.silicon.vendor }

func (m *Machine) current() snptest.Options {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.options
}

// measurement asks the silicon, which knows the defaults of a report.
func (m *Machine) measurement() (snp.Measurement, error) {
	raw, err := m.cloud.silicon.chip.Report(snp.ReportData{}, m.current())
	if err != nil {
		return snp.Measurement{}, err
	}
	report, err := snp.Parse(raw)
	if err != nil {
		return snp.Measurement{}, err
	}
	return report.Measurement(), nil
}

// WriteSecurityContext writes the files of the security context for what the
// machine is now: the policy, the certificates of the chip's TCB, and an
// endorsement of the measurement. microsoft/confidential-aci-examples,
// docs/Confidential_ACI_SCHEME.md.
func (m *Machine) WriteSecurityContext() error {
	certificates, err := m.cloud.silicon.Certification("", "")
	if err != nil {
		return err
	}
	host, err := json.Marshal(certificates)
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"security-policy-base64": []byte(m.config.Policy),
		"host-amd-cert-base64":   host,
	}
	if !m.config.Unendorsed {
		if files["reference-info-base64"], err = m.endorse(); err != nil {
			return err
		}
	}
	return m.writeContext(files)
}

func (m *Machine) endorse() ([]byte, error) {
	measurement, err := m.measurement()
	if err != nil {
		return nil, err
	}
	return m.cloud.endorser.Endorse(measurement, m.config.GuestSVN, m.config.Feed)
}

func (m *Machine) writeContext(files map[string][]byte) error {
	var failed []error
	for name, content := range files {
		text := base64.StdEncoding.EncodeToString(content)
		failed = append(failed, os.WriteFile(filepath.Join(m.SecurityContext(), name), []byte(text), 0o600))
	}
	return errors.Join(failed...)
}

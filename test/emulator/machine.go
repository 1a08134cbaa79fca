package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/snp"
	"skr/test/emulator/imds"
	"skr/test/emulator/utilityvm"
	"skr/test/snptest"
	"skr/test/swtpm"
	"skr/test/tdxtest"
)

const (
	firstMachine  = "machine"
	socketFile    = "report.sock"
	contextDir    = "security-context"
	productionSVN = 100 // lower numbers are test builds of ContainerPlat
)

// DefaultCCEPolicy is the execution policy of a machine whose configuration has
// none.
const DefaultCCEPolicy = "package policy\n\n# skr emulator TEST ONLY: everything is allowed\ndefault allow := true\n"

// Feeds of UVM endorsements. The feed determines the compliance status.
const (
	FeedACI  = "ContainerPlat-AMD-UVM" // azure-compliant-uvm
	FeedKata = "ConfAKS-AMD-UVM"       // azure-signed-katacc-uvm
)

// MachineConfig configures a machine at its launch.
type MachineConfig struct {
	// Platform is the kind of machine; "" means ACI. Virtual machines need
	// swtpm: apt-get install swtpm.
	Platform Platform
	// Policy is a container group's execution policy; its SHA-256 is HOST_DATA.
	// "" means DefaultCCEPolicy.
	Policy string
	// Containers are what the host of a container group starts. The utility VM refuses the
	// whole group if Policy and Fragments do not admit one of them. With none, Policy is
	// measured and not enforced.
	Containers []utilityvm.Container
	// Fragments are the signed policy fragments that the host offers to the utility VM. It
	// loads those that Policy imports.
	Fragments [][]byte
	// Report overrides fields of the machine's reports: measurement, guest
	// policy (debug), VMPL. For a container group, a zero HostData means the
	// hash of Policy. The SigningKey snp.VLEK also loads that key into the
	// processor, so that THIM serves its certificate.
	Report snptest.Options
	// TD describes the TD reports of a machine with TDX. A zero MRTD means a fixed one.
	TD tdxtest.TD
	// SpoilHCL changes the HCL report of a confidential VM; nil changes nothing.
	SpoilHCL func([]byte)
	// Feed is the feed of the UVM endorsement; "" means the platform's.
	Feed string
	// GuestSVN is the endorsed version; 0 means 100, the first of the
	// production builds.
	GuestSVN uint64
	// Unendorsed leaves out a container group's reference-info-base64, or keeps
	// a confidential VM's measurement off MAA's list of compliant ones.
	Unendorsed bool
	// SecureBootOff starts a virtual machine without secure boot.
	SecureBootOff bool
	// EventLog is the event log of a virtual machine; "" means one that matches
	// its registers.
	EventLog EventLog
	// Paravisor is the clock that keeps a confidential VM's reports two seconds
	// apart; nil means time.Now.
	Paravisor func() time.Time
	// Certificates is where the certificates of the processor are; "" means AtHost.
	Certificates Certificates
	// TPMFault returns the code with which a command of a virtual machine's TPM
	// fails, as in [swtpm.Config]; nil injects nothing.
	TPMFault func(code tpm2.TPMCC, first, second tpm2.TPMHandle) tpm2.TPMRC
}

// Machine is one machine. A container group has the report socket and the
// mounted files; a virtual machine has the TPM and the firmware's event log.
// All machines of a cloud share one processor of AMD, or one platform of Intel.
type Machine struct {
	name, dir string
	config    MachineConfig
	cloud     *Cloud
	vtpm      *swtpm.Machine // nil for a container group
	kept      [][]string     // variables of each container
	proxy     netip.AddrPort // of the host; zero if the machine does not use it

	mu      sync.Mutex
	options snptest.Options
	td      tdxtest.TD
}

var machineName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

// Machine returns the first machine, which every cloud has. Its files are in
// Config.Dir.
func (c *Cloud) Machine() *Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machines[firstMachine]
}

// AddMachine starts another machine, such as a pod with another execution
// policy. Its files are in a directory of that name below Config.Dir.
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
		return fmt.Errorf("the name %q must consist of lower-case letters, digits and hyphens", name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.machines[name]; taken {
		return fmt.Errorf("machine %q already exists", name)
	}
	c.machines[name] = nil
	return nil
}

func (c *Cloud) newMachine(name, dir string, config MachineConfig) (*Machine, error) {
	m := &Machine{name: name, dir: dir, config: config, cloud: c, options: config.Report, td: config.TD}
	m.config.Platform = cmp.Or(config.Platform, ACI)
	m.config.Certificates = cmp.Or(config.Certificates, AtHost)
	if err := m.openPlace(); err != nil {
		return nil, err
	}
	if config.Report.SigningKey == snp.VLEK {
		c.silicon.hasVLEK.Store(true)
	}
	switch m.config.Platform {
	case ACI:
		return m, m.startGroup(FeedACI)
	case AKSKata:
		return m, m.startGroup(FeedKata)
	case ConfidentialVM:
		m.options.Measurement = cmp.Or(m.options.Measurement, vmMeasurement)
	case TDX:
		m.td.MRTD = cmp.Or(m.td.MRTD, vmMRTD)
	case TrustedLaunch:
	default:
		_, err := ParsePlatform(string(config.Platform))
		return nil, err
	}
	return m, m.startVM()
}

// startGroup mounts the files of a container group or pod and serves its
// reports.
func (m *Machine) startGroup(feed string) error {
	if m.config.SecureBootOff || m.config.EventLog != TrueLog {
		return errNotVM
	}
	m.config.Policy = cmp.Or(m.config.Policy, DefaultCCEPolicy)
	if err := m.enforce(); err != nil {
		return err
	}
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

// Name returns the name given to AddMachine.
func (m *Machine) Name() string { return m.name }

// Platform returns the kind of machine.
func (m *Machine) Platform() Platform { return m.config.Platform }

// Socket returns the path of a container group's report socket.
func (m *Machine) Socket() string { return filepath.Join(m.dir, socketFile) }

// SecurityContext returns the directory with the mounted files of a container
// group.
func (m *Machine) SecurityContext() string { return filepath.Join(m.dir, contextDir) }

// HostData returns HOST_DATA of the next report.
func (m *Machine) HostData() snp.HostData { return m.current().HostData }

// Update changes the contents of later reports. As on a real machine, the
// mounted files do not change; call WriteSecurityContext for new ones.
func (m *Machine) Update(change func(*snptest.Options)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.options)
	if m.vtpm != nil {
		m.vtpm.SetReport(m.options)
	}
}

// Chip returns the processor of all machines. For a firmware update, call its
// SetTCB.
func (c *Cloud) Chip() *snptest.Chip { return c.silicon.chip }

// Vendor returns the emulated AMD.
func (c *Cloud) Vendor() *snptest.Vendor { return c.silicon.vendor }

func (m *Machine) current() snptest.Options {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.options
}

// measurement makes a report and returns its measurement, because only the
// silicon has the defaults.
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

// WriteSecurityContext writes the files of the security context for the
// machine's present state: the policy, the certificates of the chip's TCB, and
// an endorsement of the measurement. Layout:
// microsoft/confidential-aci-examples, docs/Confidential_ACI_SCHEME.md.
func (m *Machine) WriteSecurityContext() error {
	files := map[string][]byte{"security-policy-base64": []byte(m.config.Policy)}
	var err error
	if m.config.Certificates == AtHost {
		if files["host-amd-cert-base64"], err = m.hostDocument(); err != nil {
			return err
		}
	}
	if !m.config.Unendorsed {
		if files["reference-info-base64"], err = m.endorse(); err != nil {
			return err
		}
	}
	return m.writeContext(files)
}

// hostDocument returns the certificates of the key that signs the machine's reports.
func (m *Machine) hostDocument() ([]byte, error) {
	var wanted imds.Wanted
	if m.current().SigningKey == snp.VLEK {
		wanted.Product = m.cloud.silicon.vendor.Product().String()
	}
	certificates, err := m.cloud.silicon.Certification(wanted)
	if err != nil {
		return nil, err
	}
	return json.Marshal(certificates)
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

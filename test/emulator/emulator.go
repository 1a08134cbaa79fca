// Package emulator runs an emulated Azure for confidential machines on the
// loopback interface: AMD and Intel silicon with its firmware, THIM and the
// managed identity endpoint, Entra ID, Azure Attestation, Key Vault and Managed
// HSM.
//
// The cryptography is real throughout: reports are signed and verified,
// policies are evaluated, keys are wrapped. Only the signers are emulated:
// every key is generated at the start, and every certificate leads to a CA
// named TEST ONLY, or to a root key that is not AMD's or Intel's. docs/emulator.md
// lists every known difference from Azure.
//
//	cloud, err := emulator.Start(ctx, emulator.Config{Dir: dir})
//	defer cloud.Close()
//	id, err := cloud.CreateKey(ctx, "demo", emulator.KeySpec{Name: "payroll"}, policy)
//	sidecar.Env = cloud.Environment(cloud.Machine())
//
// The emulator listens on loopback addresses, or in a network that has no route
// to others (Config.InternalNetwork). It is never linked into the product.
package emulator

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/test/emulator/entra"
	"skr/test/emulator/fault"
	"skr/test/emulator/pki"
	"skr/test/emulator/vault"
	"skr/test/snptest"
	"skr/test/swtpm"
	"skr/test/uvmtest"
)

// Config configures a cloud. Only Dir is required; the zero value of every
// other field is a usable default.
type Config struct {
	// Dir is the directory for sockets and files; it must exist. Keep it short:
	// a socket's path is limited to about 100 bytes.
	Dir string
	// Listen is the loopback address of the TLS listener; "" means a free port
	// on 127.0.0.1.
	Listen string
	// IMDSListen is the address of the plain HTTP listener of IMDS; "" means a
	// free port on 127.0.0.1.
	IMDSListen string
	// InternalNetwork allows Listen and IMDSListen to be other addresses than
	// loopback, such as 0.0.0.0:443, if no route leads out of the network: for
	// a container in a network with no other connection.
	InternalNetwork bool
	// ExtraHosts are names outside .localhost that the cloud serves:
	// "demo.vault.azure.net", "sharedeus.eus.attest.azure.net". Clients reach
	// them through HTTPClient or a dialer of their own.
	ExtraHosts []string
	// Product is the processor model; ProductUnknown means Milan.
	Product snp.Product
	// Vendor is the emulated AMD; nil means a new one with new keys.
	Vendor *snptest.Vendor
	// Intel configures the host of machines with TDX.
	Intel IntelConfig
	// Machine configures the first machine.
	Machine MachineConfig
	// Federation is the credential that the workload's assertions must match;
	// nil means the one of an emulated AKS cluster: see WorkloadIdentity.
	Federation *entra.Federation
	// AttestationPolicy is the policy of every MAA instance; "" means the
	// default policy. Only "permit all" and "deny all" are supported; others
	// are refused.
	AttestationPolicy string
	// CompliantVMs are launch measurements that MAA reports as
	// azure-compliant-cvm, in addition to those of the cloud's own confidential
	// VMs.
	CompliantVMs []snp.Measurement
	// Vaults may change the configuration of a host's vault: its tier, its
	// purge protection, the permissions of callers, defects of its release
	// statements. Nil changes nothing.
	Vaults func(host string, c *vault.Config)
	// Claims2025 adds the claims that real tokens have had since 2025.
	Claims2025 bool
	// Faults apply from the start. Faults returns the plan, to add more later.
	Faults []fault.Rule
	// Latency delays the requests to a service: "maa", "vault/release", "imds".
	Latency map[string]time.Duration
	// Seed determines the faults that have a probability; 0 means a random
	// seed, which is logged.
	Seed uint64
	// Now is the clock of the services; nil means time.Now.
	Now func() time.Time
	// IdleTimeout is how long an idle connection stays open; 0 means for ever.
	IdleTimeout time.Duration
	// Tap, if not nil, receives the body of each answer, including tokens, for
	// tests that search for them elsewhere. It is called concurrently.
	Tap func(service string, answer []byte)
	// PolicyCertificates returns the certificates that must sign the attestation policies of an
	// authority, which is isolated if there are any. Nil isolates none.
	PolicyCertificates func(host string) []*x509.Certificate
	// Log receives the log; nil discards it.
	Log *slog.Logger
}

// Cloud is a running emulated Azure. It is safe for concurrent use.
type Cloud struct {
	config    Config
	authority *pki.CA
	silicon   *silicon
	intel     *intel
	endorser  *uvmtest.Endorser
	directory *entra.Directory
	cluster   *entra.Cluster // nil if Config.Federation is set
	faults    *fault.Plan
	hosts     *registry
	tls, imds *server
	client    *http.Client
	backupKey []byte // of all vaults, which are in one subscription and geography

	system, administrator entra.Principal
	secret                string // of the workload's application
	credential            func() (*x509.Certificate, error)

	running  context.Context
	cancel   context.CancelFunc
	closing  sync.Once
	closeErr error

	tpmAuthority func() (*swtpm.Authority, error)
	hostProxy    func() (netip.AddrPort, error)

	mu           sync.Mutex
	machines     map[string]*Machine
	compliantVMs []snp.Measurement
	compliantTDs map[tdx.Measurement]bool
	owned        []closer
	closed       bool // if set, nothing may be added to owned
}

// Start runs a cloud until ctx ends or Close is called.
func Start(ctx context.Context, c Config) (*Cloud, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("emulator: %w", err)
	}
	running, cancel := context.WithCancel(ctx)
	cloud := &Cloud{config: c, running: running, cancel: cancel, backupKey: make([]byte, 32)}
	cloud.machines, cloud.compliantTDs = make(map[string]*Machine), make(map[tdx.Measurement]bool)
	_, _ = crand.Read(cloud.backupKey) // never fails
	cloud.tpmAuthority = sync.OnceValues(cloud.makeTPMAuthority)
	cloud.hostProxy = sync.OnceValues(cloud.startProxy)
	if err := cloud.start(); err != nil {
		return nil, fmt.Errorf("emulator: starting: %w", errors.Join(err, cloud.Close())) //nolint:contextcheck // as below
	}
	context.AfterFunc(running, func() { _ = cloud.Close() }) //nolint:contextcheck // closing has a deadline of its own
	return cloud, nil
}

func (c *Config) setDefaults() (err error) {
	if c.Dir == "" {
		return errors.New("Config.Dir is required")
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err // the sidecar may run elsewhere
	}
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:0")
	c.IMDSListen = cmp.Or(c.IMDSListen, "127.0.0.1:0")
	c.Product = cmp.Or(c.Product, snp.Milan)
	c.Seed = cmp.Or(c.Seed, rand.Uint64()) // must be repeatable, need not be secret
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// start creates the parts bottom up; each step needs the previous ones.
func (c *Cloud) start() error {
	for _, step := range []func() error{
		c.planFaults,
		c.listen,
		c.makeTrust,
		c.makeDirectory,
		c.writeFiles,
		c.serve,
		c.makeFirstMachine,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	c.config.Log.Info("the emulated cloud is up", "tls", c.tls.address(), "imds", c.imds.address(), "seed", c.config.Seed)
	return nil
}

func (c *Cloud) planFaults() error {
	c.faults = fault.NewPlan(c.config.Seed, knownForgeries())
	for _, rule := range c.config.Faults {
		if err := c.faults.Add(rule); err != nil {
			return err
		}
	}
	for service, latency := range c.config.Latency {
		c.faults.SetLatency(service, latency)
	}
	return nil
}

func (c *Cloud) makeTrust() (err error) {
	if c.authority, err = pki.New(pki.Config{Now: c.config.Now}); err != nil {
		return err
	}
	c.client = c.newClient()
	if c.endorser, err = uvmtest.NewEndorser(); err != nil {
		return err
	}
	if c.silicon, err = newSilicon(c.config); err != nil {
		return err
	}
	c.intel, err = newIntel(c.config, c.faults.Forgery)
	return err
}

func (c *Cloud) makeFirstMachine() error {
	machine, err := c.newMachine(firstMachine, c.config.Dir, c.config.Machine)
	if err != nil {
		return err
	}
	c.machines[firstMachine] = machine
	return nil
}

// Close stops everything and waits for it. Further calls do nothing.
func (c *Cloud) Close() error {
	c.closing.Do(func() {
		c.cancel()
		if c.client != nil {
			c.client.CloseIdleConnections()
		}
		c.closeErr = c.closeOwned()
	})
	return c.closeErr
}

// Faults returns the fault rules and the request counters. Both may be used
// while the cloud runs: cloud.Faults().Add(…),
// cloud.Faults().Requests("maa/attest").
func (c *Cloud) Faults() *fault.Plan { return c.faults }

// Seed returns the seed of the faults that have a probability.
func (c *Cloud) Seed() uint64 { return c.config.Seed }

// Authority returns the CA for TLS and release statements.
func (c *Cloud) Authority() *pki.CA { return c.authority }

// Directory returns the Entra ID tenant.
func (c *Cloud) Directory() *entra.Directory { return c.directory }

func (c *Cloud) writeFiles() error {
	for name, content := range map[string][]byte{
		caFile:         c.authority.PEM(),
		rootsFile:      c.silicon.vendor.RootsPEM(),
		intelRootsFile: c.intel.vendor.RootsPEM(),
	} {
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

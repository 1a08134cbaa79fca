// Package emulator runs a whole emulated Azure for confidential machines on
// the loopback interface: AMD silicon with its firmware, THIM and the managed
// identity endpoint, Entra ID, Azure Attestation, Key Vault and Managed HSM.
//
// The cryptography is real throughout: reports are signed and verified,
// policies are evaluated, keys are wrapped. What is emulated is who signs:
// every key is made at the start, and every certificate leads to a CA named
// TEST ONLY or to an AMD root key that is not AMD's. docs/emulator.md lists
// every known difference from Azure.
//
//	cloud, err := emulator.Start(ctx, emulator.Config{Dir: dir})
//	defer cloud.Close()
//	id, err := cloud.CreateKey(ctx, "demo", emulator.KeySpec{Name: "payroll"}, policy)
//	sidecar.Env = cloud.Environment(cloud.Machine())
//
// It listens on loopback addresses only and is never linked into the product.
package emulator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"skr/attest/snp"
	"skr/test/emulator/entra"
	"skr/test/emulator/fault"
	"skr/test/emulator/pki"
	"skr/test/emulator/vault"
	"skr/test/snptest"
	"skr/test/swtpm"
	"skr/test/uvmtest"
)

// Config of a cloud. The zero value of each field but Dir is good.
type Config struct {
	// Dir is where the sockets and files are written; it must exist. A socket's
	// path may have about 100 bytes, so keep it short.
	Dir string
	// Listen is the loopback address of the TLS listener; "" means a free port
	// of 127.0.0.1.
	Listen string
	// IMDSListen is the same for the plain listener of IMDS.
	IMDSListen string
	// ExtraHosts are names outside .localhost that the cloud answers to:
	// "demo.vault.azure.net", "sharedeus.eus.attest.azure.net". Clients reach
	// them through HTTPClient, or a dialer of their own.
	ExtraHosts []string
	// Product is the processor; ProductUnknown means Milan.
	Product snp.Product
	// Vendor is the emulated AMD; nil means a new one with new keys.
	Vendor *snptest.Vendor
	// Machine is what the first machine is like.
	Machine MachineConfig
	// Federation is the credential that the workload's assertions must have; nil
	// means that of an emulated AKS cluster: see WorkloadIdentity.
	Federation *entra.Federation
	// AttestationPolicy is the policy of every MAA instance; "" means the
	// default one. Other than "permit all" and "deny all" is refused.
	AttestationPolicy string
	// CompliantVMs are launch measurements that MAA calls azure-compliant-cvm,
	// beside those of the cloud's own confidential VMs.
	CompliantVMs []snp.Measurement
	// Vaults may change how the vault of a host is made: its tier, the
	// permissions of callers, defects of its statements. Nil changes nothing.
	Vaults func(host string, c *vault.Config)
	// Claims2025 adds the claims that real tokens have had since 2025.
	Claims2025 bool
	// Faults are there from the start; more may be added: see Faults.
	Faults []fault.Rule
	// Latency delays the requests to a service: "maa", "vault/release", "imds".
	Latency map[string]time.Duration
	// Seed decides the faults with a probability; 0 draws one and logs it.
	Seed uint64
	// Now is the clock of the services; nil means time.Now.
	Now func() time.Time
	// IdleTimeout closes connections that nobody uses; 0 means never.
	IdleTimeout time.Duration
	// Tap, if set, is given the body of each answer, with the tokens in it, for
	// tests that search for them elsewhere. It is called side by side.
	Tap func(service string, answer []byte)
	// Log is told what happens; nil means nothing.
	Log *slog.Logger
}

// Cloud is a running emulated Azure. It is safe for concurrent use.
type Cloud struct {
	config    Config
	authority *pki.CA
	silicon   *silicon
	endorser  *uvmtest.Endorser
	directory *entra.Directory
	cluster   *entra.Cluster // nil if Config gave a federation
	faults    *fault.Plan
	hosts     *registry
	tls, imds *server
	client    *http.Client

	system, administrator entra.Principal

	running  context.Context
	cancel   context.CancelFunc
	closing  sync.Once
	closeErr error

	tpmAuthority func() (*swtpm.Authority, error)

	mu           sync.Mutex
	machines     map[string]*Machine
	compliantVMs []snp.Measurement
	owned        []closer
	closed       bool // nothing may be added to owned
}

// Start runs a cloud until ctx ends or Close is called.
func Start(ctx context.Context, c Config) (*Cloud, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("emulator: %w", err)
	}
	running, cancel := context.WithCancel(ctx)
	cloud := &Cloud{config: c, running: running, cancel: cancel, machines: make(map[string]*Machine)}
	cloud.tpmAuthority = sync.OnceValues(cloud.makeTPMAuthority)
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
	c.Seed = cmp.Or(c.Seed, rand.Uint64()) // to be repeated, not to be secret
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// start builds from the ports up; each step needs the ones before it.
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
	c.silicon, err = newSilicon(c.config)
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

// Close stops everything and waits for it. Calling it again does nothing.
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

// Faults are the rules and the request counters, to be changed while the cloud
// runs: cloud.Faults().Add(…), cloud.Faults().Requests("maa/attest").
func (c *Cloud) Faults() *fault.Plan { return c.faults }

// Seed is what the faults with a probability follow from.
func (c *Cloud) Seed() uint64 { return c.config.Seed }

// Authority is the CA of TLS and of release statements.
func (c *Cloud) Authority() *pki.CA { return c.authority }

// Directory is the Entra ID tenant.
func (c *Cloud) Directory() *entra.Directory { return c.directory }

func (c *Cloud) writeFiles() error {
	for name, content := range map[string][]byte{
		caFile:    c.authority.PEM(),
		rootsFile: c.silicon.vendor.RootsPEM(),
	} {
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

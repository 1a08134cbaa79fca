package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"skr/api"
	"skr/attest"
	"skr/attest/maa"
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/hsm"
	"skr/internal/azure/entra"
	"skr/internal/crash"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/keyprovider"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
)

const maxRootsFile = 1 << 20

// sidecar holds the assembled parts. This file and its neighbours are the only
// place that knows which implementation stands behind which interface.
type sidecar struct {
	authorities *attest.Authorities
	vaults      *hsm.Vaults
	context     *uvm.SecurityContext
	attester    *attest.Attester
	endorser    *vcek.Endorser
	vault       *hsm.Client
	identity    *entra.Source
	verifier    *maa.Client
	releaser    *keyrelease.Releaser
	aliases     map[string]keyrelease.Request
	access      *access.Policy
	wrapKeys    *keyprovider.Keys // nil with an error where they cannot be used
	wrapKeysErr error
	out         *outbound

	faults       *faults
	otherSilicon bool         // reports are by silicon that is not AMD's
	log          *slog.Logger // of the assembling process
}

func assemble(s *settings, told *observer, log *slog.Logger) (*sidecar, error) {
	for _, name := range s.unknown {
		log.Warn("ignoring an unknown environment variable; `skr config` prints all fields", "name", name)
	}
	for _, warning := range s.warnings {
		log.Warn(warning)
	}
	if names := s.steering; len(names) > 0 {
		log.Info("variables of the environment are not used: imds_url and authority_host say whom the identity asks", "names", names)
	}
	var err error
	parts := &sidecar{faults: new(faults), otherSilicon: s.AMDRoots != "", log: log}
	contextLoaded := crash.Beside(func() error { // a signature takes long
		parts.context = s.securityContext()
		return nil
	})
	if parts.authorities, err = attest.ParseAuthorities(s.MAAAllow); err != nil {
		return nil, &settingError{fmt.Errorf("maa_allow: %w", err)}
	}
	if parts.vaults, err = hsm.ParseVaults(s.VaultAllow); err != nil {
		return nil, &settingError{fmt.Errorf("vault_allow: %w", err)}
	}
	if err := parts.assembleCallers(s); err != nil {
		return nil, &settingError{err}
	}
	parts.openWrapKeys(s.WrapKeys)
	out, err := s.outbound(told)
	if err != nil {
		return nil, &settingError{err}
	}
	parts.out = out
	if parts.identity, err = s.identity(out); err != nil {
		return nil, &settingError{err}
	}
	if err := contextLoaded(); err != nil {
		return nil, err // a bug: unusable parts are none
	}
	parts.examineContext()
	if err := parts.assembleAttester(s); err != nil {
		return nil, &settingError{err}
	}
	parts.vault = hsm.NewClient(hsm.Config{HTTP: out.vault, Roots: out.roots, APIVersion: s.VaultAPIVersion, Now: time.Now})
	parts.verifier = maa.New(maa.Config{HTTP: out.maa.Transporter(), APIVersion: s.MAAAPIVersion, UserAgent: s.MAAUserAgent, Now: time.Now})
	parts.assembleReleaser(s)
	return parts, nil
}

func (s *settings) securityContext() *uvm.SecurityContext {
	found, _ := uvm.Load(uvm.Config{ // examineContext tells the errors
		Directory: s.SecurityContextDir,
		Policy:    s.SecurityPolicy, HostCertificate: s.HostCertificate, ReferenceInfo: s.ReferenceInfo,
	})
	return found
}

func (p *sidecar) examineContext() {
	p.faults.add(securityContext, p.context.DirectoryErr)
	p.faults.add(securityPolicy, p.context.PolicyErr)
	p.faults.add(hostCertificate, p.context.HostCertificateErr)
	p.faults.add(attest.UVMEndorsement, p.context.EndorsementErr)
}

func (p *sidecar) openWrapKeys(dir string) {
	if dir == "" {
		return
	}
	p.wrapKeys, p.wrapKeysErr = keyprovider.OpenKeys(dir)
	p.faults.add(wrapKeys, p.wrapKeysErr)
}

// assembleCallers says who may ask for what, by which names.
func (p *sidecar) assembleCallers(s *settings) (err error) {
	if p.aliases, err = p.releases(s.Keys.value); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	p.access, err = access.New(access.Config{
		Rules: s.Access.value, Routes: routes(), Keys: slices.Sorted(maps.Keys(p.aliases)),
	})
	if err != nil {
		return fmt.Errorf("access: %w", err)
	}
	return nil
}

// routes of HTTP and gRPC.
func routes() []string { return append(api.Routes(), server.GRPCRoutes()...) }

func (p *sidecar) assembleAttester(s *settings) error {
	config, err := s.evidence()
	if err != nil {
		return err
	}
	roots, err := s.amdRoots()
	if err != nil {
		return fmt.Errorf("amd_roots: %w", err)
	}
	sources := s.certificateSources(p)
	p.endorser = vcek.NewEndorser(vcek.Config{Sources: sources, Roots: roots, Now: time.Now})
	config.Endorser, config.Endorsement, config.EndorsementErr = p.endorser, p.context.Endorsement, p.unendorsed()
	p.attester = attest.NewAttester(config)
	return nil
}

// unendorsed says why there is no endorsement although there should be one.
func (p *sidecar) unendorsed() error {
	if p.context.Endorsement == nil && p.context.EndorsementErr == nil {
		return p.context.DirectoryErr
	}
	return p.context.EndorsementErr
}

// evidence says whom to ask what this machine is.
func (s *settings) evidence() (config attest.Config, err error) {
	if s.ReportSource == automatic || s.ReportSource == virtualTPM {
		roots, err := s.akRoots()
		if err != nil {
			return config, fmt.Errorf("ak_roots: %w", err)
		}
		config.VirtualTPM = attest.NewVirtualTPM(attest.VirtualTPMConfig{
			Address: s.TPM, EventLog: s.EventLog, Roots: roots, Now: time.Now,
		})
	}
	if s.ReportSource != virtualTPM {
		if config.Source, err = snp.NewSource(s.ReportSource); err != nil {
			return config, fmt.Errorf("report_source: %w, or %s", err, virtualTPM)
		}
	}
	return config, nil
}

// Values of report_source.
const (
	automatic  = "auto"
	virtualTPM = "vtpm"
)

func (s *settings) akRoots() (*vtpm.Roots, error) {
	if s.AKRoots == "" {
		return vtpm.AzureRoots(), nil
	}
	data, err := readBounded(s.AKRoots, maxRootsFile)
	if err != nil {
		return nil, err
	}
	return vtpm.ParseRoots(data)
}

func (s *settings) amdRoots() (*vcek.Roots, error) {
	if s.AMDRoots == "" {
		return vcek.BuiltinRoots(), nil
	}
	data, err := readBounded(s.AMDRoots, maxRootsFile)
	if err != nil {
		return nil, err
	}
	return vcek.ParseRoots(data)
}

func (s *settings) certificateSources(p *sidecar) (sources []vcek.Source) {
	out := p.out
	for _, name := range s.CertificateSources {
		switch name {
		case "host":
			if host := p.hostSource(); host != nil {
				sources = append(sources, host)
			}
		case "thim":
			sources = append(sources, vcek.NewTHIMSource(out.thim.Transporter(), s.thimURL()))
		case "azure-cache":
			sources = append(sources, vcek.NewAzureCacheSource(out.azureCache.Transporter(), s.AzureCacheURL, s.AzureCacheAPIVersion, s.AzureCacheClientID))
		case "kds":
			sources = append(sources, vcek.NewKDSSource(out.kds.Transporter(), s.KDSURL))
		}
	}
	return sources
}

// hostSource is nil where the platform gives no certificate. One that cannot be used
// tells so to whoever asks it.
func (p *sidecar) hostSource() vcek.Source {
	switch {
	case p.context.HostCertificateErr != nil:
		return vcek.NewUnusableHostSource(p.context.HostCertificateErr)
	case p.context.HostCertificate == nil:
		return nil
	}
	host, err := vcek.NewHostSource(p.context.HostCertificate)
	if err != nil {
		host = vcek.NewUnusableHostSource(err)
	}
	_, err = host.Chain(context.Background(), snp.ChipID{}, snp.TCB{}) // it is the same for every chip
	p.faults.add(hostCertificate, err)
	return host
}

func (s *settings) thimURL() string {
	if s.THIMURL != "" {
		return s.THIMURL
	}
	return s.IMDSURL + thimPath
}

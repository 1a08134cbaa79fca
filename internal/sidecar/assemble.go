// Package sidecar assembles skr from its parts and runs it: from the settings it makes the
// parties of a release, the servers, the listeners, the records and the probes.
//
//	err := sidecar.Serve(ctx, settings, env, log.Logger, log.Audit)
//
// It is the only package that knows which implementation stands behind which interface.
// Commands that ask once use [Assemble] and a few of its parts.
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"skr/api"
	"skr/attest"
	"skr/attest/maa"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/hsm"
	"skr/internal/azure/entra"
	"skr/internal/azure/outbound"
	"skr/internal/config"
	"skr/internal/crash"
	"skr/internal/keyuse"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/coco"
	"skr/internal/sidecar/keyprovider"
	"skr/internal/sidecar/parties"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
)

// Parts holds the assembled parts. Only this package chooses the implementations of interfaces.
type Parts struct {
	Names       config.Names
	Context     *uvm.SecurityContext
	Attester    *attest.Attester
	endorser    *vcek.Endorser
	quotes      *tdx.Verifier
	vault       *hsm.Client
	identity    *entra.Source
	verifier    *maa.Client
	Releaser    *keyrelease.Releaser
	Aliases     map[string]keyrelease.Request
	rights      map[string]keyuse.Rights // by alias
	access      *access.Policy
	coco        *server.CoCo      // nil without coco_listen
	wrapKeys    *keyprovider.Keys // nil if wrapKeysErr is set
	wrapKeysErr error
	out         *outbound.Clients

	Faults       *faults
	otherSilicon bool         // reports come from silicon that is not AMD's
	log          *slog.Logger // of the assembling process
}

// Assemble builds the parts from the settings. A nil observer disables metrics and traces.
func Assemble(s *config.Settings, observer *observer, log *slog.Logger) (*Parts, error) {
	s.LogWarnings(log)
	var err error
	parts := &Parts{Faults: new(faults), otherSilicon: s.AMDRoots != "", log: log}
	contextLoaded := crash.Beside(func() error { // verifying a signature takes long
		parts.Context = loadContext(s)
		return nil
	})
	if parts.Names.Authorities, err = attest.ParseAuthorities(s.MAAAllow); err != nil {
		return nil, config.WrongSetting(fmt.Errorf("maa_allow: %w", err))
	}
	if parts.Names.Vaults, err = hsm.ParseVaults(s.VaultAllow); err != nil {
		return nil, config.WrongSetting(fmt.Errorf("vault_allow: %w", err))
	}
	if err := parts.assembleCallers(s); err != nil {
		return nil, config.WrongSetting(err)
	}
	if parts.coco, err = parts.cocoOf(s); err != nil {
		return nil, config.WrongSetting(fmt.Errorf("coco: %w", err))
	}
	parts.openWrapKeys(s.WrapKeys)
	out, err := outbound.New(s, observer.exchanges)
	if err != nil {
		return nil, config.WrongSetting(err)
	}
	parts.out = out
	if parts.identity, err = outbound.Identity(s, out); err != nil {
		return nil, config.WrongSetting(err)
	}
	if err := contextLoaded(); err != nil {
		return nil, err // a bug: unusable parts are not errors
	}
	parts.examineContext()
	parts.examineCaches(s)
	if err := parts.assembleAttester(s); err != nil {
		return nil, config.WrongSetting(err)
	}
	parts.vault = hsm.NewClient(hsm.Config{HTTP: out.Vault, Roots: out.Roots, APIVersion: s.VaultAPIVersion, Now: time.Now})
	parts.verifier = maa.New(maa.Config{HTTP: out.MAA.Transporter(), APIVersion: s.MAAAPIVersion, UserAgent: s.MAAUserAgent, Now: time.Now})
	parts.assembleReleaser(s)
	return parts, nil
}

// assembleReleaser connects the parties of a release, each decorated with the journal.
func (p *Parts) assembleReleaser(s *config.Settings) {
	p.Releaser = keyrelease.New(keyrelease.Config{
		Attester: p.Attester, Verifier: parties.Verifier(p.verifier),
		Identity: parties.Identity(p.identity, p.out.Public.Connect), Vault: parties.Vault(parties.Lapses(p.vault, p.log, time.Now)),
		Describer: p.vault, Unwrap: parties.Unwrap, Looked: parties.Looked,
		KEKBits: s.KEKBits, AttestationMaxAge: s.AttestationMaxAge, KeyTTL: s.KeyCacheTTL, KeyMaxStale: s.MaxStale,
		Timeout: s.RequestTimeout,
	})
}

func loadContext(s *config.Settings) *uvm.SecurityContext {
	loaded, _ := uvm.Load(uvm.Config{ // the context holds the errors, see examineContext
		Directory: s.SecurityContextDir,
		Policy:    s.SecurityPolicy, HostCertificate: s.HostCertificate, ReferenceInfo: s.ReferenceInfo,
	})
	return loaded
}

func (p *Parts) examineContext() {
	p.Faults.Add(securityContext, p.Context.DirectoryErr)
	p.Faults.Add(securityPolicy, p.Context.PolicyErr)
	p.Faults.Add(hostCertificate, p.Context.HostCertificateErr)
	p.Faults.Add(attest.UVMEndorsement, p.Context.EndorsementErr)
}

// examineCaches reports the variables that lead to no certificate cache.
func (p *Parts) examineCaches(s *config.Settings) {
	var reasons []string
	for _, place := range s.CertificateCaches() {
		if place.Err != nil {
			reasons = append(reasons, place.From+": "+place.Err.Error())
		}
	}
	if len(reasons) > 0 {
		p.Faults.Add(certificateCache, errors.New(strings.Join(reasons, "; ")))
	}
}

func (p *Parts) openWrapKeys(dir string) {
	if dir == "" {
		return
	}
	p.wrapKeys, p.wrapKeysErr = keyprovider.OpenKeys(dir)
	p.Faults.Add(wrapKeys, p.wrapKeysErr)
}

// assembleCallers builds the aliases and the access policy.
func (p *Parts) assembleCallers(s *config.Settings) (err error) {
	if p.Aliases, err = p.releases(s.Keys.Value); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if p.rights, err = rights(s.Keys.Value); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	p.access, err = access.New(access.Config{
		Rules: rules(s.Access.Value), Routes: routes(), Keys: slices.Sorted(maps.Keys(p.Aliases)),
	})
	if err != nil {
		return fmt.Errorf("access: %w", err)
	}
	return nil
}

// routes returns the routes that access rules may name.
func routes() []string { return slices.Concat(api.Routes(), server.GRPCRoutes(), coco.Routes()) }

func (p *Parts) assembleAttester(s *config.Settings) error {
	config, err := evidence(s, p.out)
	if err != nil {
		return err
	}
	if p.quotes, err = outbound.QuoteVerifier(s, p.out); err != nil {
		return err
	}
	config.TDX = p.quotes
	roots, err := outbound.AMDRoots(s)
	if err != nil {
		return fmt.Errorf("amd_roots: %w", err)
	}
	sources := outbound.CertificateSources(s, p.out, p.hostSource())
	p.endorser = vcek.NewEndorser(vcek.Config{Sources: sources, Roots: roots, Now: time.Now})
	config.Endorser, config.Endorsement, config.EndorsementErr = p.endorser, p.Context.Endorsement, p.unendorsed()
	p.Attester = attest.NewAttester(config)
	return nil
}

// unendorsed returns why an expected endorsement is missing.
func (p *Parts) unendorsed() error {
	if p.Context.Endorsement == nil && p.Context.EndorsementErr == nil {
		return p.Context.DirectoryErr
	}
	return p.Context.EndorsementErr
}

// evidence returns the sources of evidence of this machine.
func evidence(s *config.Settings, out *outbound.Clients) (evidence attest.Config, err error) {
	if s.ReportSource == config.Automatic || s.ReportSource == config.VirtualTPM {
		roots, err := outbound.AKRoots(s)
		if err != nil {
			return evidence, fmt.Errorf("ak_roots: %w", err)
		}
		evidence.VirtualTPM = attest.NewVirtualTPM(attest.VirtualTPMConfig{
			Address: s.TPM, EventLog: s.EventLog, Roots: roots, Quoter: outbound.QuoteHost(s, out), Now: time.Now,
		})
	}
	if s.ReportSource == config.Automatic || s.ReportSource == config.ConfigFS {
		evidence.TDSource = attest.NewTDGuest()
	}
	if s.ReportSource != config.VirtualTPM {
		if evidence.Source, err = snp.NewSource(s.ReportSource); err != nil {
			return evidence, fmt.Errorf("report_source: %w, or %s", err, config.VirtualTPM)
		}
	}
	return evidence, nil
}

// hostSource returns nil if the platform provides no certificate. A source with an unusable certificate
// returns an error for each request.
func (p *Parts) hostSource() vcek.Source {
	switch {
	case p.Context.HostCertificateErr != nil:
		return vcek.NewUnusableHostSource(p.Context.HostCertificateErr)
	case p.Context.HostCertificate == nil:
		return nil
	}
	host, err := vcek.NewHostSource(p.Context.HostCertificate)
	if err != nil {
		host = vcek.NewUnusableHostSource(err)
	}
	_, err = host.Chain(context.Background(), vcek.Wanted{}) // the chain is the same for every chip
	p.Faults.Add(hostCertificate, err)
	return host
}

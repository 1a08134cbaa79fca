package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"skr/internal/config"
	"skr/internal/sidecar/doctor"
	"skr/internal/sidecar/parties"
)

// Targets returns the ways of all aliases.
func (p *Parts) Targets() (targets []doctor.Target) {
	for _, name := range slices.Sorted(maps.Keys(p.Aliases)) {
		for n, way := range p.Aliases[name].Ways() {
			targets = append(targets, doctor.Target{Name: targetName(name, n), Request: way, InVault: p.InVault(name)})
		}
	}
	return targets
}

// InVault reports whether the vault performs the operations of an alias.
func (p *Parts) InVault(alias string) bool { return p.rights[alias].InVault() }

// targetName returns the name of an alias or of one of its fallbacks, with the number in the log.
func targetName(alias string, way int) string {
	if way == 0 {
		return alias
	}
	return fmt.Sprintf("%s, fallback %d", alias, way)
}

// Doctor returns the configuration of a doctor that examines these parts.
func (p *Parts) Doctor(s *config.Settings, targets []doctor.Target, auditor *Auditor) doctor.Config {
	return doctor.Config{
		Attester: p.Attester, Endorser: p.endorser, Context: p.Context, OtherSilicon: p.otherSilicon,
		Problems: p.Faults.list, Caches: p.caches(s), Releaser: AuditedReleaser{Releaser: p.Releaser, Auditor: auditor},
		Describer: p.vault, Identity: parties.Identity(p.identity, nil), IdentityName: p.identity.String(),
		Endpoints: p.endpoints(s, targets), Targets: targets, UnsetLists: s.Unset(), Timeout: s.RequestTimeout, Now: time.Now,
	}
}

// caches returns the places of the host's certificate cache.
func (p *Parts) caches(s *config.Settings) (caches []doctor.Cache) {
	for _, place := range s.CertificateCaches() {
		source := p.out.THIM(place)
		if by := s.Origins[place.From]; by != "" && by != place.From {
			place.From += ", set by " + by
		}
		caches = append(caches, doctor.Cache{From: place.From, URL: place.URL, Source: source})
	}
	return caches
}

// endpoints returns the services that the targets need, without duplicates.
func (p *Parts) endpoints(s *config.Settings, targets []doctor.Target) (endpoints []doctor.Endpoint) {
	add := func(e doctor.Endpoint) {
		if !slices.ContainsFunc(endpoints, func(other doctor.Endpoint) bool { return other.URL == e.URL }) {
			endpoints = append(endpoints, e)
		}
	}
	for _, t := range targets {
		authority, vault := t.Request.Authority.Host(), t.Request.Key.Host()
		if !t.InVault {
			add(doctor.Endpoint{Name: authority.String(), URL: authority.URL() + "/certs", HTTP: p.out.MAA, Clock: true})
		}
		add(doctor.Endpoint{Name: vault.String(), URL: vault.URL() + "/", HTTP: p.out.Vault})
		if t.Request.Access.IsZero() {
			add(p.identityEndpoint(s))
		}
	}
	return endpoints
}

func (p *Parts) identityEndpoint(s *config.Settings) doctor.Endpoint {
	if host := p.identity.LoginURL(); host != "" {
		return doctor.Endpoint{Name: host, URL: host, HTTP: p.out.Entra}
	}
	return doctor.Endpoint{Name: "instance metadata service", URL: s.IMDSURL + "/metadata/versions", HTTP: p.out.IMDS}
}

// CheckTracing returns an error if the variables for tracing cannot be used.
func CheckTracing(ctx context.Context, env config.Environment) error {
	tracer, err := newTracer(ctx, env, slog.New(slog.DiscardHandler))
	return errors.Join(err, tracer.Shutdown(ctx))
}

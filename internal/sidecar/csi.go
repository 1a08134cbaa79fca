package sidecar

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"golang.org/x/sync/errgroup"

	"skr/internal/azure/outbound"
	"skr/internal/config"
	"skr/internal/keyuse"
	"skr/internal/observe/audit"
	"skr/internal/sbom"
	"skr/internal/secmem"
	"skr/internal/sidecar/csi"
	"skr/internal/sidecar/parties"
	"skr/keyrelease"
)

// ServeCSI serves the Secrets Store CSI driver on the socket until ctx ends. The records of releases go
// where those of Serve go.
func ServeCSI(ctx context.Context, s *config.Settings, socket net.Listener, log *slog.Logger, otherwise func(version string) *audit.Log) error {
	if len(s.Access.Value) > 0 {
		return config.WrongSetting(errors.New("access: its rules do not apply to CSI mounts; remove it: " +
			"the vault decides by the identity of each pod, and vault_allow limits all of them"))
	}
	ignoreForPods(s, log)
	records, err := OpenAudit(s, otherwise)
	if err != nil {
		return err
	}
	defer closeAudit(records, log)
	parts, err := Assemble(s, nil, log)
	if err != nil {
		return err
	}
	parts.Faults.log(log)
	s.WarnOfClouds(log)
	ready := newProof(parts, s.RequestTimeout, func() {}, log)
	provider := csi.New(csi.Config{
		Releases: parts.Releaser, Resolve: parts.resolve, Identity: parts.podIdentity(s), Auditor: &Auditor{Log: records}, Ready: ready.err,
		Version: sbom.Version(), Deadline: s.RequestTimeout, Grace: s.StopGrace, Logger: log,
	})
	log.Info("listening", "address", "unix:"+socket.Addr().String(), "version", sbom.Version())
	parts.Releaser.Prepare()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return provider.Serve(running, socket) })
	group.Go(func() error { ready.await(running); return nil })
	err = group.Wait()
	log.Info("stopped")
	return err
}

// ignoreForPods turns off what would keep keys of one pod for another, and warns of settings that have no
// effect.
func ignoreForPods(s *config.Settings, log *slog.Logger) {
	for field, set := range map[string]bool{
		"key_cache_ttl": s.KeyCacheTTL != 0, "max_stale": s.MaxStale != 0,
		"client_id": s.ClientID != "", "tenant_id": s.TenantID != "", "federated_token_file": s.FederatedTokenFile != "",
	} {
		if set {
			log.Warn("this setting has no effect: each mount is a release with the identity of the pod that mounts", "setting", field)
		}
	}
	s.KeyCacheTTL, s.MaxStale, s.ClientID, s.TenantID, s.FederatedTokenFile = 0, 0, "", "", ""
}

// resolve checks the key of a volume against the allow-lists, and against the aliases that keep
// their keys.
func (p *Parts) resolve(place csi.Place) (keyrelease.Request, error) {
	request, err := p.Parse(config.Alias{
		Vault: place.Vault, Vaults: place.Vaults, Key: place.Key,
		Authority: place.Authority, Authorities: place.Authorities,
	})
	if err != nil {
		return request, err
	}
	for _, way := range request.Ways() {
		if err := p.May(keyuse.Release, "", way); err != nil {
			return request, err
		}
	}
	return request, nil
}

// podIdentity returns the function that makes the identity of a pod.
func (p *Parts) podIdentity(s *config.Settings) func(clientID, tenantID string, token secmem.Text) (keyrelease.Identity, error) {
	return func(clientID, tenantID string, token secmem.Text) (keyrelease.Identity, error) {
		source, err := outbound.PodIdentity(s, p.out, clientID, tenantID, token)
		if err != nil {
			return nil, err
		}
		return parties.Identity(source, p.out.Public.Connect), nil
	}
}

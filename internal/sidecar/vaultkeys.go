package sidecar

import (
	"context"
	"time"

	"skr/internal/config"
	"skr/internal/sidecar/invault"
	"skr/internal/sidecar/parties"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
)

// vaultKeys returns the keys that stay in their vaults, which the pod's identity uses.
func (p *Parts) vaultKeys(s *config.Settings) *invault.Keys {
	return invault.New(invault.Config{
		Identity: parties.Identity(p.identity, p.out.Public.Connect), Transport: p.out.Vault.Transporter(),
		APIVersion: s.VaultAPIVersion, TTL: s.KeyCacheTTL, Now: time.Now,
	})
}

// vaultKeys has the interface of package server.
type vaultKeys struct{ keys *invault.Keys }

// Key reads a key.
func (v vaultKeys) Key(ctx context.Context, request keyrelease.Request) (server.VaultKey, error) {
	key, err := v.keys.Key(ctx, request)
	if err != nil {
		return nil, err
	}
	return key, nil
}

package config

import (
	"fmt"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/cloud"
)

// serviceSettings are the authorities, the vaults and the network.
func serviceSettings() []setting {
	return []setting{
		{
			name: "ca-file", group: network, bind: text(func(s *Settings) *string { return &s.CAFile }, ""),
			usage: "PEM file of additional CAs for outbound TLS and release statements",
		},

		{
			name: "maa-allow", group: authorities, bind: words(func(s *Settings) *List { return &s.MAAAllow }, attest.DefaultAuthorities()),
			usage: "hosts that requests may name as authority; with keys, the aliases' by default",
		},
		{
			name: "maa-api-version", group: authorities, bind: text(func(s *Settings) *string { return &s.MAAAPIVersion }, "2022-08-01"),
			usage: "api-version of the attestation service",
		},
		{
			name: "maa-user-agent", group: authorities, bind: text(func(s *Settings) *string { return &s.MAAUserAgent }, ""),
			usage: "User-Agent for the attestation service",
		},

		{
			name: "vault-allow", group: vaults, bind: words(func(s *Settings) *List { return &s.VaultAllow }, hsm.DefaultVaults()),
			usage: "vaults and keys that requests may name: host[/keys/name[/version]][=audience]; with keys, the aliases' by default",
		},
		{
			name: "vault-api-version", group: vaults, bind: text(func(s *Settings) *string { return &s.VaultAPIVersion }, "7.4"),
			usage: "api-version of Key Vault and Managed HSM",
		},
	}
}

// identitySettings are the identity of the pod.
func identitySettings() []setting {
	return []setting{
		{
			name: "client-id", group: identity, bind: text(func(s *Settings) *string { return &s.ClientID }, ""),
			usage: "client id of the workload or managed identity",
		},
		{
			name: "tenant-id", group: identity, bind: text(func(s *Settings) *string { return &s.TenantID }, ""),
			usage: "tenant of the workload identity",
		},
		{
			name: "federated-token-file", group: identity, bind: text(func(s *Settings) *string { return &s.FederatedTokenFile }, ""),
			usage: "projected token of the workload identity",
		},
		{
			name: "authority-host", group: identity, bind: text(func(s *Settings) *string { return &s.AuthorityHost }, ""),
			usage: "Entra ID host of another cloud; the public cloud if not set",
		},

		{
			name: "cloud", group: clouds, bind: text(func(s *Settings) *string { return &s.Cloud }, cloud.Names()[0]),
			usage: "public, usgovernment or china: completes short names of vaults and authorities, and sets the default of authority_host",
			check: func(s *Settings) error {
				if _, err := cloud.Parse(s.Cloud); err != nil {
					return fmt.Errorf(": %w", err)
				}
				return nil
			},
		},
	}
}

// reuseSettings are the turns of a fleet, and what is kept.
func reuseSettings() []setting {
	return []setting{
		{
			name: "fleet-window", group: fleet, bind: wait(func(s *Settings) *time.Duration { return &s.FleetWindow }, 0),
			usage: "how long the vault needs to serve every pod of the fleet once: pods ÷ its limit, and 5 % more; 0 means unknown",
			check: notNegative(func(s *Settings) time.Duration { return s.FleetWindow }),
		},
		{
			name: "fleet-member", group: fleet, bind: text(func(s *Settings) *string { return &s.FleetMember }, ""),
			usage: "value that is unique to this pod in the fleet: its index or its IP address; if not set, its turn is random",
		},
		{
			name: "fleet-in-turn", group: fleet, bind: yesNo(func(s *Settings) *bool { return &s.FleetInTurn }, false),
			usage: "wait for the turn even if nothing was throttled yet",
			check: turns,
		},

		{
			name: "attestation-max-age", group: reuse, bind: wait(func(s *Settings) *time.Duration { return &s.AttestationMaxAge }, time.Hour),
			usage: "how long an attested KEK is reused; 0 attests for each release",
			check: notNegative(func(s *Settings) time.Duration { return s.AttestationMaxAge }),
		},

		{
			name: "kek-bits", group: releases, bind: number(func(s *Settings) *int { return &s.KEKBits }, 2048),
			usage: "size of the KEK: 2048, 3072 or 4096",
			check: oneOf(func(s *Settings) int { return s.KEKBits }, 2048, 3072, 4096),
		},

		{
			name: "key-cache-ttl", group: reuse, bind: wait(func(s *Settings) *time.Duration { return &s.KeyCacheTTL }, 0),
			usage: "how long a released key is cached in locked memory for equal requests; 0 disables the cache",
			check: notNegative(func(s *Settings) time.Duration { return s.KeyCacheTTL }),
		},
		{
			name: "max-stale", group: reuse, bind: wait(func(s *Settings) *time.Duration { return &s.MaxStale }, 0),
			usage: "how much longer a kept key is served while the authority or the vault cannot be reached; 0 disables this",
			check: stale,
		},

		{
			name: "key-refresh", group: following, bind: wait(func(s *Settings) *time.Duration { return &s.KeyRefresh }, 5*time.Minute),
			usage: "how often the key of a sink, a watched alias or skr exec is released again; if key_cache_ttl is set, only skr exec uses it",
			check: refresh,
		},
	}
}

// recordSettings are wrapping, the log and the audit records.
func recordSettings() []setting {
	return []setting{
		{
			name: "wrap-keys", group: wrapping, bind: text(func(s *Settings) *string { return &s.WrapKeys }, ""),
			usage: "directory of NAME-info.json and NAME-pub.pem, which the key provider wraps with; if not set, it cannot wrap",
			check: absolute(func(s *Settings) string { return s.WrapKeys }),
		},

		{
			name: "log-level", group: Logging, bind: text(func(s *Settings) *string { return &s.LogLevel }, "info"),
			usage: "debug, info, warn or error, in any capitals; for commands that run once, the default is warn",
		},
		{
			name: "log-file", group: Logging, bind: text(func(s *Settings) *string { return &s.LogFile }, ""),
			usage: "file that log lines are appended to; standard error if not set or not writable",
		},
		{
			name: "log-format", group: Logging, bind: text(func(s *Settings) *string { return &s.LogFormat }, "json"),
			usage: "json or text; for commands that run once, the default is text",
			check: oneOf(func(s *Settings) string { return s.LogFormat }, "json", "text"),
		},

		{
			name: "audit-file", group: records, bind: text(func(s *Settings) *string { return &s.AuditFile }, ""),
			usage: "file for the hash-chained records of releases; if not set, they go to the log",
		},
	}
}

package config

import (
	"time"

	"github.com/spf13/pflag"

	"skr/attest"
	"skr/hsm"
)

// setting is a row of the table: flags, variables, fields of the file, help, documents and
// `skr config` come from it.
type setting struct {
	name  string // of the flag
	group string // title in help; uses says which commands have it
	bind  binding
	usage string
	check func(*Settings) error // refuses what no part would refuse by itself, or only much later; nil without a check
	// mayBeEmpty: an empty value turns it off. Of any other setting, it would bring back a
	// default that allows more than the value that is missing.
	mayBeEmpty bool
}

// table returns the settings, in the order of the documents.
func table() []setting {
	return []setting{
		{
			name: "listen", group: Addresses, bind: text(func(s *Settings) *string { return &s.Listen }, "localhost:8080"),
			usage:      "HTTP: a loopback address and port, or unix:/path; none if empty",
			check:      listening,
			mayBeEmpty: true,
		},
		{
			name: "grpc-listen", group: Addresses, bind: text(func(s *Settings) *string { return &s.GRPCListen }, ""),
			usage:      "gRPC key provider: a loopback address and port (localhost:50000 by custom), or unix:/path; none if empty",
			mayBeEmpty: true,
		},

		{
			name: "ops-listen", group: operating, bind: text(func(s *Settings) *string { return &s.OpsListen }, ""),
			usage:      "address of /livez, /readyz and /metrics, such as :9090; none if empty",
			check:      hostPort,
			mayBeEmpty: true,
		},
		{
			name: "ops-doctor", group: operating, bind: yesNo(func(s *Settings) *bool { return &s.OpsDoctor }, false),
			usage: "also answer /doctor there, which examines every alias of keys",
		},

		{
			name: "request-timeout", group: deadline, bind: wait(func(s *Settings) *time.Duration { return &s.RequestTimeout }, time.Minute),
			usage: "deadline of one request, with all that it asks of others",
			check: positive(func(s *Settings) time.Duration { return s.RequestTimeout }),
		},

		{
			name: "stop-grace", group: operating, bind: wait(func(s *Settings) *time.Duration { return &s.StopGrace }, 10*time.Second),
			usage: "time for running requests after SIGTERM",
			check: positive(func(s *Settings) time.Duration { return s.StopGrace }),
		},
		{
			name: "max-concurrent", group: operating, bind: number(func(s *Settings) *int { return &s.MaxConcurrent }, 128),
			usage: "requests that run at once; one caller gets at most half",
			check: positive(func(s *Settings) int { return s.MaxConcurrent }),
		},
		{
			name: "max-queued", group: operating, bind: number(func(s *Settings) *int { return &s.MaxQueued }, 256),
			usage: "requests that wait for a place, further ones get 503; one caller gets at most half",
			check: positive(func(s *Settings) int { return s.MaxQueued }),
		},
		{
			name: "caller-rate", group: operating, bind: fraction(func(s *Settings) *float64 { return &s.CallerRate }, 0),
			usage: "requests of one caller in a second, on average; a kept key counts as a 77th; what the processors can do if 0, 200 each",
			check: rate,
		},

		{
			name: "keys", group: aliases, bind: form(func(s *Settings) pflag.Value { return &s.Keys }),
			usage: "aliases that requests may name: {name: {vault, key, authority}}; vaults and authorities are lists with fall-backs",
		},

		{
			name: "access", group: operating, bind: form(func(s *Settings) pflag.Value { return &s.Access }),
			usage: "who may use which route and alias; with none, any caller that can connect",
		},

		{
			name: "report-source", group: devices, bind: text(func(s *Settings) *string { return &s.ReportSource }, "auto"),
			usage: "auto, sev-guest, configfs-tsm, vtpm, or unix:/path of a report socket",
		},
		{
			name: "tpm", group: devices, bind: text(func(s *Settings) *string { return &s.TPM }, "/dev/tpmrm0"),
			usage: "virtual TPM of an Azure machine: a device, or unix:/path of a TPM command socket",
			check: tpmAddress,
		},
		{
			name: "event-log", group: devices, bind: text(func(s *Settings) *string { return &s.EventLog }, "/sys/kernel/security/tpm0/binary_bios_measurements"),
			usage: "event log of the firmware; that it is missing is no error",
			check: absolute(func(s *Settings) string { return s.EventLog }),
		},

		{
			name: "ak-roots", group: tpmRoots, bind: text(func(s *Settings) *string { return &s.AKRoots }, ""),
			usage: "PEM file of authorities for attestation keys in place of Azure's, for TPMs that are not Azure's",
		},

		{
			name: "security-context-dir", group: thisMachine, bind: text(func(s *Settings) *string { return &s.SecurityContextDir }, ""),
			usage: "directory of the UVM security context; found by itself if not set",
			check: absolute(func(s *Settings) string { return s.SecurityContextDir }),
		},
		{
			name: "security-policy", group: thisMachine, bind: text(func(s *Settings) *string { return &s.SecurityPolicy }, ""),
			usage: "base64 CCE policy, where the directory has none",
		},
		{
			name: "host-certificate", group: thisMachine, bind: text(func(s *Settings) *string { return &s.HostCertificate }, ""),
			usage: "base64 THIM document of this host, where the directory has none",
		},
		{
			name: "reference-info", group: thisMachine, bind: text(func(s *Settings) *string { return &s.ReferenceInfo }, ""),
			usage: "base64 UVM endorsement, where the directory has none",
		},

		{
			name: "certificate-sources", group: certificates, bind: words(func(s *Settings) *List { return &s.CertificateSources }, List{"host", "thim", "kds"}),
			usage: "where certificate chains come from, in order: host, thim, azure-cache, kds",
			check: sources,
		},
		{
			name: "thim-url", group: certificates, bind: text(func(s *Settings) *string { return &s.THIMURL }, ""),
			usage: "certificate cache of the host; imds_url" + thimPath + " if not set",
			check: webAddress((*Settings).ThimURL),
		},

		{
			name: "imds-url", group: network, bind: text(func(s *Settings) *string { return &s.IMDSURL }, "http://169.254.169.254"),
			usage: "instance metadata service, called without a proxy",
			check: webAddress(func(s *Settings) string { return s.IMDSURL }),
		},

		{
			name: "azure-cache-url", group: certificates,
			bind:  text(func(s *Settings) *string { return &s.AzureCacheURL }, "https://global.acccache.azure.net/SevSnpVM/certificates"),
			usage: "Azure's public certificate cache",
			check: webAddress(func(s *Settings) string { return s.AzureCacheURL }),
		},
		{
			name: "azure-cache-api-version", group: certificates,
			bind:  text(func(s *Settings) *string { return &s.AzureCacheAPIVersion }, "api-version=2020-10-15-preview"),
			usage: "query part for the Azure cache",
		},
		{
			name: "azure-cache-client-id", group: certificates, bind: text(func(s *Settings) *string { return &s.AzureCacheClientID }, ""),
			usage: "query part for the Azure cache, name=value",
		},
		{
			name: "kds-url", group: certificates, bind: text(func(s *Settings) *string { return &s.KDSURL }, "https://kdsintf.amd.com"),
			usage: "AMD's key distribution service",
			check: webAddress(func(s *Settings) string { return s.KDSURL }),
		},
		{
			name: "amd-roots", group: certificates, bind: text(func(s *Settings) *string { return &s.AMDRoots }, ""),
			usage: "PEM file of ARK certificates in place of AMD's, for silicon that is not AMD's",
		},

		{
			name: "ca-file", group: network, bind: text(func(s *Settings) *string { return &s.CAFile }, ""),
			usage: "PEM file of further CAs for outbound TLS and release statements",
		},

		{
			name: "maa-allow", group: authorities, bind: words(func(s *Settings) *List { return &s.MAAAllow }, attest.DefaultAuthorities()),
			usage: "hosts that a request may name as authority; with keys, the default is what these name",
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
			usage: "vaults and keys that a request may name: host[/keys/name[/version]][=audience]; with keys, the default is what these name",
		},
		{
			name: "vault-api-version", group: vaults, bind: text(func(s *Settings) *string { return &s.VaultAPIVersion }, "7.4"),
			usage: "api-version of Key Vault and Managed HSM",
		},

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
			usage: "Entra ID of another cloud; the public one if not set",
		},

		{
			name: "fleet-window", group: fleet, bind: wait(func(s *Settings) *time.Duration { return &s.FleetWindow }, 0),
			usage: "how long the vault needs to serve every pod of the fleet once: pods ÷ its limit, and 5 % more; 0 if nobody knows",
			check: notNegative(func(s *Settings) time.Duration { return s.FleetWindow }),
		},
		{
			name: "fleet-member", group: fleet, bind: text(func(s *Settings) *string { return &s.FleetMember }, ""),
			usage: "what only this pod of the fleet has: its index or its IP address; its turn is at random if not set",
		},
		{
			name: "fleet-in-turn", group: fleet, bind: yesNo(func(s *Settings) *bool { return &s.FleetInTurn }, false),
			usage: "wait for the turn also before anything was throttled",
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
			usage: "how long a released key is kept, in locked memory, for equal requests; 0 keeps none",
			check: notNegative(func(s *Settings) time.Duration { return s.KeyCacheTTL }),
		},
		{
			name: "max-stale", group: reuse, bind: wait(func(s *Settings) *time.Duration { return &s.MaxStale }, 0),
			usage: "how much longer a kept key is given out while the authority or the vault cannot be reached; 0 is not at all",
			check: stale,
		},

		{
			name: "wrap-keys", group: wrapping, bind: text(func(s *Settings) *string { return &s.WrapKeys }, ""),
			usage: "directory of NAME-info.json and NAME-pub.pem, with which the key provider wraps; without it, it wraps nothing",
			check: absolute(func(s *Settings) string { return s.WrapKeys }),
		},

		{
			name: "log-level", group: Logging, bind: text(func(s *Settings) *string { return &s.LogLevel }, "info"),
			usage: "debug, info, warn or error, in any capitals; for commands that ask once and end, the default is warn",
		},
		{
			name: "log-file", group: Logging, bind: text(func(s *Settings) *string { return &s.LogFile }, ""),
			usage: "file that log lines are appended to; standard error if not set or not writable",
		},
		{
			name: "log-format", group: Logging, bind: text(func(s *Settings) *string { return &s.LogFormat }, "json"),
			usage: "json or text; for commands that ask once and end, the default is text",
			check: oneOf(func(s *Settings) string { return s.LogFormat }, "json", "text"),
		},

		{
			name: "audit-file", group: records, bind: text(func(s *Settings) *string { return &s.AuditFile }, ""),
			usage: "file for the hash-chained records of releases; they go to the log if not set",
		},
	}
}

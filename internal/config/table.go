package config

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/cloud"
)

// setting is a row of the table, from which flags, variables, fields of the file, help, documents and
// `skr config` come.
type setting struct {
	name  string // of the flag
	group string // title in help; uses says which commands have it
	bind  binding
	usage string
	check func(*Settings) error // refuses values that no part refuses, or only much later; nil disables it
	// mayBeEmpty is true if an empty value turns the setting off. An empty value of another
	// setting would restore a default that may allow more.
	mayBeEmpty bool
}

// table returns the settings, in the order of the documents.
func table() []setting {
	return []setting{
		{
			name: "listen", group: Addresses, bind: text(func(s *Settings) *string { return &s.Listen }, "localhost:8080"),
			usage:      "HTTP: a loopback address and port, or unix:/path; off if empty",
			check:      listening,
			mayBeEmpty: true,
		},
		{
			name: "grpc-listen", group: Addresses, bind: text(func(s *Settings) *string { return &s.GRPCListen }, ""),
			usage:      "gRPC key provider: a loopback address and port (usually localhost:50000), or unix:/path; off if empty",
			mayBeEmpty: true,
		},

		{
			name: "crypto-listen", group: Addresses, bind: text(func(s *Settings) *string { return &s.CryptoListen }, ""),
			usage: "Key Vault's REST API for keys in use, with TLS: a loopback address and port, such as localhost:8443; off if not set",
			check: cryptoListener,
		},
		{
			name: "crypto-dir", group: Addresses, bind: text(func(s *Settings) *string { return &s.CryptoDir }, ""),
			usage: "directory for ca.pem and token, which clients of crypto_listen need",
			check: absolute(func(s *Settings) string { return s.CryptoDir }),
		},
		{
			name: "crypto-names", group: Addresses, bind: words(func(s *Settings) *List { return &s.CryptoNames }, nil),
			usage: "DNS names for the certificate of crypto_listen, beside localhost",
			check: cryptoNames,
		},
		{
			name: "ssh-agent-listen", group: Addresses, bind: text(func(s *Settings) *string { return &s.SSHAgentListen }, ""),
			usage: "SSH agent that offers keys to sign with: unix:/path, the value of SSH_AUTH_SOCK with unix: before it; off if not set",
			check: agentListener,
		},

		{
			name: "ops-listen", group: operating, bind: text(func(s *Settings) *string { return &s.OpsListen }, ""),
			usage:      "address of /livez, /readyz and /metrics, such as :9090; off if empty",
			check:      hostPort,
			mayBeEmpty: true,
		},
		{
			name: "ops-doctor", group: operating, bind: yesNo(func(s *Settings) *bool { return &s.OpsDoctor }, false),
			usage: "also serve /doctor on ops_listen, which examines every alias of keys",
		},

		{
			name: "request-timeout", group: deadline, bind: wait(func(s *Settings) *time.Duration { return &s.RequestTimeout }, time.Minute),
			usage: "deadline of one request, including its calls to other services",
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
			usage: "requests that wait to run; more get 503; one caller gets at most half",
			check: positive(func(s *Settings) int { return s.MaxQueued }),
		},
		{
			name: "caller-rate", group: operating, bind: fraction(func(s *Settings) *float64 { return &s.CallerRate }, 0),
			usage: "average requests per second of one caller; a kept key counts as 1/77; 0 means 200 for each processor",
			check: rate,
		},

		{
			name: "keys", group: aliases, bind: form(func(s *Settings) pflag.Value { return &s.Keys }),
			usage: "aliases that requests may name: {name: {vault, key, authority, versions, ops}}; vaults and authorities are lists with fallbacks",
		},

		{
			name: "access", group: operating, bind: form(func(s *Settings) pflag.Value { return &s.Access }),
			usage: "which callers may use which routes and aliases; without rules, any caller that can connect",
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
			usage: "event log of the firmware; may be missing",
			check: absolute(func(s *Settings) string { return s.EventLog }),
		},

		{
			name: "ak-roots", group: tpmRoots, bind: text(func(s *Settings) *string { return &s.AKRoots }, ""),
			usage: "PEM file of authorities for attestation keys, instead of Azure's; for TPMs that are not Azure's",
		},

		{
			name: "security-context-dir", group: thisMachine, bind: text(func(s *Settings) *string { return &s.SecurityContextDir }, ""),
			usage: "directory of the UVM security context; detected if not set",
			check: absolute(func(s *Settings) string { return s.SecurityContextDir }),
		},
		{
			name: "security-policy", group: thisMachine, bind: text(func(s *Settings) *string { return &s.SecurityPolicy }, ""),
			usage: "base64 CCE policy, if the directory has none",
		},
		{
			name: "host-certificate", group: thisMachine, bind: text(func(s *Settings) *string { return &s.HostCertificate }, ""),
			usage: "base64 THIM document of this host, if the directory has none",
		},
		{
			name: "reference-info", group: thisMachine, bind: text(func(s *Settings) *string { return &s.ReferenceInfo }, ""),
			usage: "base64 UVM endorsement, if the directory has none",
		},

		{
			name: "certificate-sources", group: certificates, bind: words(func(s *Settings) *List { return &s.CertificateSources }, List{"host", "thim", "kds"}),
			usage: "where certificate chains come from, in order: host, thim, azure-cache, kds",
			check: sources,
		},
		{
			name: "thim-url", group: certificates, bind: text(func(s *Settings) *string { return &s.THIMURL }, ""),
			usage: "certificate cache of the host; detected if not set",
			check: thimAddress,
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
			usage: "PEM file of ARK certificates, instead of AMD's; for silicon that is not AMD's",
		},

		{
			name: "intel-roots", group: intelTDX, bind: text(func(s *Settings) *string { return &s.IntelRootsFile }, ""),
			usage: "TDX: PEM file of root certificates, instead of Intel's; for silicon that is not Intel's",
			check: intelRoots,
		},
		{
			name: "tcb-status", group: intelTDX, bind: words(func(s *Settings) *List { return &s.TCBStatus }, nil),
			usage: "TDX: TCB statuses to accept, such as UpToDate; requires collateral that is in date; if not set, the status is reported",
			check: tcbStatus,
		},
		{
			name: "collateral-sources", group: intelTDX, bind: words(func(s *Settings) *List { return &s.CollateralSources }, nil),
			usage:      "TDX: where TCB info and revocation lists come from, in order: pccs, pcs, or the absolute path of a file; none if empty",
			check:      collateralSources,
			mayBeEmpty: true,
		},
		{
			name: "pccs-url", group: intelTDX, bind: text(func(s *Settings) *string { return &s.PCCSURL }, "https://global.acccache.azure.net"),
			usage: "TDX: cache of Intel's service: Azure's, THIM of a region such as https://useast.thim.azure.net, or your own",
			check: webAddress(func(s *Settings) string { return s.PCCSURL }),
		},
		{
			name: "pcs-url", group: intelTDX, bind: text(func(s *Settings) *string { return &s.PCSURL }, "https://api.trustedservices.intel.com"),
			usage: "TDX: Intel's provisioning certification service",
			check: webAddress(func(s *Settings) string { return s.PCSURL }),
		},
		{
			name: "intel-root-crl-url", group: intelTDX,
			bind:  text(func(s *Settings) *string { return &s.IntelRootCRLURL }, "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"),
			usage: "TDX: revocation list of Intel's root",
			check: webAddress(func(s *Settings) string { return s.IntelRootCRLURL }),
		},

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

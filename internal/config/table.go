package config

import (
	"slices"
	"time"

	"github.com/spf13/pflag"
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
	return slices.Concat(
		listenerSettings(), servingSettings(), keySettings(),
		machineSettings(), endorsementSettings(), intelSettings(),
		serviceSettings(), identitySettings(), reuseSettings(), recordSettings(),
	)
}

// listenerSettings are the addresses of the sidecar.
func listenerSettings() []setting {
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
			name: "coco-listen", group: Addresses, bind: text(func(s *Settings) *string { return &s.CoCoListen }, ""),
			usage: "REST API of Confidential Containers: a loopback address and port (usually 127.0.0.1:8006), or unix:/path; off if not set",
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
	}
}

// servingSettings are how requests are served.
func servingSettings() []setting {
	return []setting{
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
	}
}

// keySettings are the keys, and what callers may do with them.
func keySettings() []setting {
	return []setting{
		{
			name: "keys", group: aliases, bind: form(func(s *Settings) pflag.Value { return &s.Keys }),
			usage: "aliases that requests may name: {name: {vault, key, authority, versions, ops}}; vaults and authorities are lists with fallbacks",
		},

		{
			name: "access", group: operating, bind: form(func(s *Settings) pflag.Value { return &s.Access }),
			usage: "which callers may use which routes and aliases; without rules, any caller that can connect",
		},

		{
			name: "coco", group: aliases, bind: form(func(s *Settings) pflag.Value { return &s.CoCo }),
			usage: "what coco_listen answers: {resources: {repository/type/tag: {alias, as or envelope or sealed}}, authority}",
			check: cocoAliases,
		},
		{
			name: "sinks", group: files, bind: form(func(s *Settings) pflag.Value { return &s.Sinks }),
			usage: "files that are kept up to date with keys: [{path, alias, format}]; also from envelopes and templates",
		},
	}
}

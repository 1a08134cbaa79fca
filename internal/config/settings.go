package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"skr/attest"
	"skr/hsm"
)

// Settings is the whole configuration. Its flags method is the one table of
// names, defaults and meanings: the YAML field a_b is also SKR_A_B and --a-b.
type Settings struct {
	Listen         string
	GRPCListen     string
	OpsListen      string
	OpsDoctor      bool
	RequestTimeout time.Duration
	StopGrace      time.Duration
	MaxConcurrent  int
	MaxQueued      int
	CallerRate     float64

	Keys   section[map[string]Alias]
	Access section[[]AccessRule]

	ReportSource       string
	TPM                string
	EventLog           string
	AKRoots            string
	SecurityContextDir string
	SecurityPolicy     string
	HostCertificate    string
	ReferenceInfo      string

	CertificateSources   List
	THIMURL              string
	IMDSURL              string
	AzureCacheURL        string
	AzureCacheAPIVersion string
	AzureCacheClientID   string
	KDSURL               string
	AMDRoots             string
	CAFile               string

	MAAAllow      List
	MAAAPIVersion string
	MAAUserAgent  string

	VaultAllow      List
	VaultAPIVersion string

	ClientID           string
	TenantID           string
	FederatedTokenFile string
	AuthorityHost      string

	FleetWindow time.Duration
	FleetMember string
	FleetInTurn bool

	AttestationMaxAge time.Duration
	KEKBits           int
	KeyCacheTTL       time.Duration
	MaxStale          time.Duration
	WrapKeys          string

	LogLevel  string
	LogFile   string
	LogFormat string
	AuditFile string

	unknown  []string // variables that look like settings and are none
	warnings []string // of what the reference's names hold and skr ignores
	Unused   []string // settings that do nothing, which the server tells
	Steering []string // variables of libraries that the pod's identity does not heed
	Origins  origins  // what set each field
}

const thimPath = "/metadata/THIM/amd/certification" // Azure instance metadata service

// Flags binds every setting to a flag that holds its default.
func (s *Settings) Flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("skr", pflag.ContinueOnError)
	fs.SortFlags = false
	text, lines, wait := fs.StringVar, fs.Var, fs.DurationVar

	text(&s.Listen, "listen", "localhost:8080", "HTTP: a loopback address and port, or unix:/path; none if empty")
	text(&s.GRPCListen, "grpc-listen", "", "gRPC key provider: a loopback address and port (localhost:50000 by custom), or unix:/path; none if empty")
	text(&s.OpsListen, "ops-listen", "", "address of /livez, /readyz and /metrics, such as :9090; none if empty")
	fs.BoolVar(&s.OpsDoctor, "ops-doctor", false, "also answer /doctor there, which examines every alias of keys")
	wait(&s.RequestTimeout, "request-timeout", time.Minute, "deadline of one request, with all that it asks of others")
	wait(&s.StopGrace, "stop-grace", 10*time.Second, "time for running requests after SIGTERM")
	fs.IntVar(&s.MaxConcurrent, "max-concurrent", 128, "requests that run at once; one caller gets at most half")
	fs.IntVar(&s.MaxQueued, "max-queued", 256, "requests that wait for a place, further ones get 503; one caller gets at most half")
	fs.Float64Var(&s.CallerRate, "caller-rate", 0, "requests of one caller in a second, on average; a kept key counts as a 77th; what the processors can do if 0, 200 each")
	lines(&s.Keys, "keys", "aliases that requests may name: {name: {vault, key, authority}}; vaults and authorities are lists with fall-backs")
	lines(&s.Access, "access", "who may use which route and alias; with none, any caller that can connect")

	text(&s.ReportSource, "report-source", "auto", "auto, sev-guest, configfs-tsm, vtpm, or unix:/path of a report socket")
	text(&s.TPM, "tpm", "/dev/tpmrm0", "virtual TPM of an Azure machine: a device, or unix:/path of a TPM command socket")
	text(&s.EventLog, "event-log", "/sys/kernel/security/tpm0/binary_bios_measurements", "event log of the firmware; that it is missing is no error")
	text(&s.AKRoots, "ak-roots", "", "PEM file of authorities for attestation keys in place of Azure's, for TPMs that are not Azure's")
	text(&s.SecurityContextDir, "security-context-dir", "", "directory of the UVM security context; found by itself if not set")
	text(&s.SecurityPolicy, "security-policy", "", "base64 CCE policy, where the directory has none")
	text(&s.HostCertificate, "host-certificate", "", "base64 THIM document of this host, where the directory has none")
	text(&s.ReferenceInfo, "reference-info", "", "base64 UVM endorsement, where the directory has none")

	s.CertificateSources = List{"host", "thim", "kds"}
	lines(&s.CertificateSources, "certificate-sources", "where certificate chains come from, in order: host, thim, azure-cache, kds")
	text(&s.THIMURL, "thim-url", "", "certificate cache of the host; imds_url"+thimPath+" if not set")
	text(&s.IMDSURL, "imds-url", "http://169.254.169.254", "instance metadata service, called without a proxy")
	text(&s.AzureCacheURL, "azure-cache-url", "https://global.acccache.azure.net/SevSnpVM/certificates", "Azure's public certificate cache")
	text(&s.AzureCacheAPIVersion, "azure-cache-api-version", "api-version=2020-10-15-preview", "query part for the Azure cache")
	text(&s.AzureCacheClientID, "azure-cache-client-id", "", "query part for the Azure cache, name=value")
	text(&s.KDSURL, "kds-url", "https://kdsintf.amd.com", "AMD's key distribution service")
	text(&s.AMDRoots, "amd-roots", "", "PEM file of ARK certificates in place of AMD's, for silicon that is not AMD's")
	text(&s.CAFile, "ca-file", "", "PEM file of further CAs for outbound TLS and release statements")

	s.MAAAllow = attest.DefaultAuthorities()
	lines(&s.MAAAllow, "maa-allow", "hosts that a request may name as authority; with keys, the default is what these name")
	text(&s.MAAAPIVersion, "maa-api-version", "2022-08-01", "api-version of the attestation service")
	text(&s.MAAUserAgent, "maa-user-agent", "", "User-Agent for the attestation service")

	s.VaultAllow = hsm.DefaultVaults()
	lines(&s.VaultAllow, "vault-allow", "vaults and keys that a request may name: host[/keys/name[/version]][=audience]; with keys, the default is what these name")
	text(&s.VaultAPIVersion, "vault-api-version", "7.4", "api-version of Key Vault and Managed HSM")

	text(&s.ClientID, "client-id", "", "client id of the workload or managed identity")
	text(&s.TenantID, "tenant-id", "", "tenant of the workload identity")
	text(&s.FederatedTokenFile, "federated-token-file", "", "projected token of the workload identity")
	text(&s.AuthorityHost, "authority-host", "", "Entra ID of another cloud; the public one if not set")

	wait(&s.FleetWindow, "fleet-window", 0, "how long the vault needs to serve every pod of the fleet once: pods ÷ its limit, and 5 % more; 0 if nobody knows")
	text(&s.FleetMember, "fleet-member", "", "what only this pod of the fleet has: its index or its IP address; its turn is at random if not set")
	fs.BoolVar(&s.FleetInTurn, "fleet-in-turn", false, "wait for the turn also before anything was throttled")

	wait(&s.AttestationMaxAge, "attestation-max-age", time.Hour, "how long an attested KEK is reused; 0 attests for each release")
	fs.IntVar(&s.KEKBits, "kek-bits", 2048, "size of the KEK: 2048, 3072 or 4096")

	wait(&s.KeyCacheTTL, "key-cache-ttl", 0, "how long a released key is kept, in locked memory, for equal requests; 0 keeps none")
	wait(&s.MaxStale, "max-stale", 0, "how much longer a kept key is given out while the authority or the vault cannot be reached; 0 is not at all")
	text(&s.WrapKeys, "wrap-keys", "", "directory of NAME-info.json and NAME-pub.pem, with which the key provider wraps; without it, it wraps nothing")

	text(&s.LogLevel, "log-level", "info", "debug, info, warn or error, in any capitals; for commands that ask once and end, the default is warn")
	text(&s.LogFile, "log-file", "", "file that log lines are appended to; standard error if not set or not writable")
	text(&s.LogFormat, "log-format", "json", "json or text; for commands that ask once and end, the default is text")
	text(&s.AuditFile, "audit-file", "", "file for the hash-chained records of releases; they go to the log if not set")
	return fs
}

// check refuses values that no part would refuse by itself, or only much later.
func (s *Settings) check() error {
	known := []string{"host", "thim", "azure-cache", "kds"}
	for _, name := range s.CertificateSources {
		if !slices.Contains(known, name) {
			return fmt.Errorf("certificate_sources: %q is none of %s", name, strings.Join(known, ", "))
		}
	}
	switch {
	case len(s.CertificateSources) == 0:
		return errors.New("certificate_sources: at least one is needed")
	case !slices.Contains([]int{2048, 3072, 4096}, s.KEKBits):
		return fmt.Errorf("kek_bits: %d is none of 2048, 3072, 4096", s.KEKBits)
	case !slices.Contains([]string{"json", "text"}, s.LogFormat):
		return fmt.Errorf("log_format: %q is none of json, text", s.LogFormat)
	case s.Listen == "" && s.GRPCListen == "":
		return errors.New("listen and grpc_listen: one of them is needed")
	case s.OpsListen != "" && !isHostPort(s.OpsListen):
		return fmt.Errorf("ops_listen: %q is not an address with a port, such as :9090", s.OpsListen)
	case s.FleetWindow < 0:
		return errors.New("fleet_window must not be negative")
	case s.FleetInTurn && s.FleetWindow == 0:
		return errors.New("fleet_in_turn needs a fleet_window: without one there are no turns")
	case s.KeyCacheTTL < 0:
		return errors.New("key_cache_ttl must not be negative")
	case s.MaxStale < 0 || s.MaxStale > 0 && s.KeyCacheTTL == 0:
		return errors.New("max_stale must not be negative, and needs key_cache_ttl")
	case s.WrapKeys != "" && !path.IsAbs(s.WrapKeys):
		return fmt.Errorf("wrap_keys: %q is not an absolute path", s.WrapKeys)
	case s.AttestationMaxAge < 0:
		return errors.New("attestation_max_age must not be negative")
	case s.RequestTimeout <= 0:
		return errors.New("request_timeout must be longer than nothing")
	case s.StopGrace <= 0:
		return errors.New("stop_grace must be longer than nothing")
	case s.MaxConcurrent < 1:
		return errors.New("max_concurrent must be more than nothing")
	case s.MaxQueued < 1:
		return errors.New("max_queued must be more than nothing")
	case !(s.CallerRate >= 0):
		return errors.New("caller_rate must not be negative")
	case !path.IsAbs(strings.TrimPrefix(s.TPM, "unix:")):
		return fmt.Errorf("tpm: %q is neither an absolute path nor unix: and one", s.TPM)
	case !path.IsAbs(s.EventLog):
		return fmt.Errorf("event_log: %q is not an absolute path", s.EventLog)
	case s.SecurityContextDir != "" && !path.IsAbs(s.SecurityContextDir):
		return fmt.Errorf("security_context_dir: %q is not an absolute path", s.SecurityContextDir)
	}
	return s.checkURLs()
}

// isHostPort looks at the form alone: whether the address is free, listening shows.
func isHostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
	return err == nil
}

// checkURLs of what is first asked when a certificate is needed.
func (s *Settings) checkURLs() error {
	for _, of := range []struct{ field, text string }{
		{"imds_url", s.IMDSURL}, {"thim_url", s.ThimURL()}, {"azure_cache_url", s.AzureCacheURL}, {"kds_url", s.KDSURL},
	} {
		if parsed, err := url.Parse(of.text); err != nil || parsed.Host == "" {
			return fmt.Errorf("%s: %q is not a URL", of.field, of.text)
		}
	}
	return nil
}

// List is a setting of several words, separated by commas.
type List []string

var _ pflag.Value = (*List)(nil)

func (l *List) String() string { return strings.Join(*l, ",") }

// Type names the form in --help.
func (l *List) Type() string { return "list" }

// Set replaces the whole list.
func (l *List) Set(text string) error {
	*l = nil
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}

func FieldName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }
func envName(flag string) string   { return "SKR_" + strings.ToUpper(FieldName(flag)) }

func (s *Settings) ThimURL() string {
	if s.THIMURL != "" {
		return s.THIMURL
	}
	return s.IMDSURL + thimPath
}

// Values of report_source.
const (
	Automatic  = "auto"
	VirtualTPM = "vtpm"
)

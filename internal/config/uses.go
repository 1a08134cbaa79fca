package config

import (
	"slices"

	"github.com/spf13/pflag"
)

// Group is a part of the table of settings that commands use together.
type Group struct {
	Title string
	Flags []string
}

// The groups, in the order of help. Every setting is in one.
var (
	Addresses    = Group{"Listeners", []string{"listen", "grpc-listen"}}
	deadline     = Group{"Time", []string{"request-timeout"}}
	operating    = Group{"Service", []string{"ops-listen", "ops-doctor", "stop-grace", "max-concurrent", "max-queued", "caller-rate", "access"}}
	aliases      = Group{"Aliases", []string{"keys"}}
	devices      = Group{"Devices", []string{"report-source", "tpm", "event-log"}}
	thisMachine  = Group{"This machine", []string{"security-context-dir", "security-policy", "host-certificate", "reference-info"}}
	certificates = Group{"Certificates", []string{
		"certificate-sources", "thim-url", "azure-cache-url", "azure-cache-api-version", "azure-cache-client-id", "kds-url", "amd-roots",
	}}
	tpmRoots    = Group{"Virtual TPM", []string{"ak-roots"}}
	network     = Group{"Network", []string{"imds-url", "ca-file"}}
	authorities = Group{"Attestation service", []string{"maa-allow", "maa-api-version", "maa-user-agent"}}
	vaults      = Group{"Vault", []string{"vault-allow", "vault-api-version"}}
	identity    = Group{"Identity", []string{"client-id", "tenant-id", "federated-token-file", "authority-host"}}
	releases    = Group{"Release", []string{"kek-bits"}}
	reuse       = Group{"Reuse", []string{"attestation-max-age", "key-cache-ttl", "max-stale"}}
	fleet       = Group{"Fleet", []string{"fleet-window", "fleet-member", "fleet-in-turn"}}
	wrapping    = Group{"Key provider", []string{"wrap-keys"}}
	records     = Group{"Records", []string{"audit-file"}}
	Logging     = Group{"Every command", []string{"log-level", "log-file", "log-format"}}

	AllGroups = []Group{
		Addresses, deadline, operating, aliases, devices, thisMachine, tpmRoots, certificates, network, authorities, vaults, identity,
		releases, reuse, fleet, wrapping, records,
	}
)

// What commands have in common.
var (
	asksMachine   = []Group{deadline, devices, thisMachine, tpmRoots}
	asksEvidence  = append(slices.Clip(asksMachine), certificates, network)
	asksAuthority = append(slices.Clip(asksEvidence), authorities)
	asksVault     = append(slices.Clip(asksAuthority), vaults, identity, releases, fleet, records)
	managesKeys   = []Group{deadline, network, vaults, identity}
)

// Uses names the settings that each command takes as flags. The environment and the
// configuration file may hold every setting.
var Uses = map[string][]Group{
	"skr":                 AllGroups,
	"skr serve":           AllGroups,
	"skr config":          AllGroups,
	"skr doctor":          append(slices.Clip(asksVault), Addresses, aliases, wrapping),
	"skr release":         append(slices.Clip(asksVault), aliases),
	"skr unwrap":          asksVault,
	"skr wrap":            {wrapping},
	"skr healthcheck":     {Addresses},
	"skr agent":           {deadline, devices},
	"skr attest":          nil,
	"skr attest raw":      asksMachine,
	"skr attest combined": asksEvidence,
	"skr attest maa":      asksAuthority,
	"skr version":         nil,
	"skr help":            nil,

	"skrctl":                nil,
	"skrctl policy":         nil,
	"skrctl policy new":     nil,
	"skrctl policy explain": nil,
	"skrctl policy check":   nil,
	"skrctl policy diff":    nil,
	"skrctl policy measure": nil,
	"skrctl policy test":    nil,
	"skrctl measure":        nil,
	"skrctl key":            nil,
	"skrctl key create":     managesKeys,
	"skrctl key import":     managesKeys,
	"skrctl key show":       managesKeys,
	"skrctl key public":     managesKeys,
	"skrctl key list":       managesKeys,
	"skrctl show":           nil,
	"skrctl verify":         {deadline, tpmRoots, certificates, network, authorities},
	"skrctl report":         nil,
	"skrctl report show":    nil,
	"skrctl report verify":  {deadline, certificates, network},
	"skrctl token":          nil,
	"skrctl token show":     nil,
	"skrctl token verify":   {deadline, network, authorities},
	"skrctl vtpm":           nil,
	"skrctl vtpm show":      nil,
	"skrctl vtpm verify":    {deadline, tpmRoots, certificates, network},
	"skrctl audit":          nil,
	"skrctl audit verify":   nil,
	"skrctl version":        nil,
	"skrctl help":           nil,
}

// InGroup is the annotation of a flag that names its group for help.
const InGroup = "group"

// AddTo adds the flags of the group to fs.
func (g Group) AddTo(fs, all *pflag.FlagSet) {
	for _, name := range g.Flags {
		flag := all.Lookup(name)
		flag.Annotations = map[string][]string{InGroup: {g.Title}}
		fs.AddFlag(flag)
	}
}

package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group is a part of the table of settings that commands use together.
type group struct {
	title string
	flags []string
}

// The groups, in the order of help. Every setting is in one.
var (
	addresses    = group{"Listeners", []string{"listen", "grpc-listen"}}
	deadline     = group{"Time", []string{"request-timeout"}}
	operating    = group{"Service", []string{"ops-listen", "ops-doctor", "stop-grace", "max-concurrent", "max-queued", "caller-rate", "access"}}
	aliases      = group{"Aliases", []string{"keys"}}
	devices      = group{"Devices", []string{"report-source", "tpm", "event-log"}}
	thisMachine  = group{"This machine", []string{"ak-roots", "security-context-dir", "security-policy", "host-certificate", "reference-info"}}
	certificates = group{"Certificates", []string{
		"certificate-sources", "thim-url", "azure-cache-url", "azure-cache-api-version", "azure-cache-client-id", "kds-url", "amd-roots",
	}}
	network     = group{"Network", []string{"imds-url", "ca-file"}}
	authorities = group{"Attestation service", []string{"maa-allow", "maa-api-version", "maa-user-agent"}}
	vaults      = group{"Vault", []string{"vault-allow", "vault-api-version"}}
	identity    = group{"Identity", []string{"client-id", "tenant-id", "federated-token-file", "authority-host"}}
	releases    = group{"Release", []string{"kek-bits"}}
	reuse       = group{"Reuse", []string{"attestation-max-age", "key-cache-ttl", "max-stale"}}
	fleet       = group{"Fleet", []string{"fleet-window", "fleet-member", "fleet-in-turn"}}
	wrapping    = group{"Key provider", []string{"wrap-keys"}}
	records     = group{"Records", []string{"audit-file"}}
	logging     = group{"Every command", []string{"log-level", "log-file", "log-format"}}

	allGroups = []group{
		addresses, deadline, operating, aliases, devices, thisMachine, certificates, network, authorities, vaults, identity,
		releases, reuse, fleet, wrapping, records,
	}
)

// What commands have in common.
var (
	asksMachine   = []group{deadline, devices, thisMachine}
	asksEvidence  = append(slices.Clip(asksMachine), certificates, network)
	asksAuthority = append(slices.Clip(asksEvidence), authorities)
	asksVault     = append(slices.Clip(asksAuthority), vaults, identity, releases, fleet, records)
	managesKeys   = []group{deadline, network, vaults, identity}
)

// uses names the settings that each command takes as flags. The environment and the
// configuration file may hold every setting.
var uses = map[string][]group{
	"skr":                 allGroups,
	"skr serve":           allGroups,
	"skr config":          allGroups,
	"skr doctor":          append(slices.Clip(asksVault), addresses, aliases, wrapping),
	"skr release":         append(slices.Clip(asksVault), aliases),
	"skr unwrap":          asksVault,
	"skr wrap":            {wrapping},
	"skr healthcheck":     {addresses},
	"skr agent":           {deadline, devices},
	"skr attest":          nil,
	"skr attest raw":      asksMachine,
	"skr attest combined": asksEvidence,
	"skr attest maa":      asksAuthority,
	"skr report":          nil,
	"skr report show":     asksMachine,
	"skr report verify":   asksEvidence,
	"skr token":           nil,
	"skr token show":      asksAuthority,
	"skr token verify":    asksAuthority,
	"skr vtpm":            nil,
	"skr vtpm show":       asksEvidence,
	"skr vtpm verify":     asksEvidence,
	"skr policy":          nil,
	"skr policy new":      asksMachine,
	"skr policy explain":  asksAuthority,
	"skr policy check":    nil,
	"skr policy diff":     nil,
	"skr policy measure":  nil,
	"skr policy test":     nil,
	"skr key":             nil,
	"skr key create":      managesKeys,
	"skr key import":      managesKeys,
	"skr key show":        managesKeys,
	"skr key public":      managesKeys,
	"skr key list":        managesKeys,
	"skr show":            nil,
	"skr verify":          asksAuthority,
	"skr audit":           nil,
	"skr audit verify":    nil,
	"skr version":         nil,
	"skr help":            nil,
}

// inGroup is the annotation of a flag that names its group for help.
const inGroup = "group"

// addSettings gives the command and those below it the flags of the settings they use.
func addSettings(cmd *cobra.Command) {
	all := new(settings).flags()
	for _, g := range uses[cmd.CommandPath()] {
		g.addTo(cmd.Flags(), all)
	}
	if slices.ContainsFunc(uses[cmd.CommandPath()], func(g group) bool { return g.title == addresses.title }) {
		addDropInFlags(cmd.Flags())
	}
	for _, child := range cmd.Commands() {
		addSettings(child)
	}
}

func (g group) addTo(fs, all *pflag.FlagSet) {
	for _, name := range g.flags {
		flag := all.Lookup(name)
		flag.Annotations = map[string][]string{inGroup: {g.title}}
		fs.AddFlag(flag)
	}
}

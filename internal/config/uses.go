package config

import (
	"slices"

	"github.com/spf13/pflag"
)

// The groups of settings, by their titles in help. Each row of the table belongs to one group.
const (
	Addresses    = "Listeners"
	deadline     = "Time"
	operating    = "Service"
	aliases      = "Aliases"
	files        = "Files"
	devices      = "Devices"
	thisMachine  = "This machine"
	certificates = "Certificates"
	intelTDX     = "Intel TDX"
	tpmRoots     = "Virtual TPM"
	network      = "Network"
	authorities  = "Attestation service"
	vaults       = "Vault"
	identity     = "Identity"
	clouds       = "Cloud"
	releases     = "Release"
	reuse        = "Reuse"
	following    = "New versions"
	fleet        = "Fleet"
	wrapping     = "Key provider"
	records      = "Records"
	Logging      = "Common flags"
)

// AllGroups lists the groups in the order of help, without Logging, which every command has.
var AllGroups = []string{
	Addresses, deadline, operating, aliases, files, devices, thisMachine, tpmRoots, certificates, intelTDX, network, authorities,
	vaults, identity, clouds, releases, reuse, following, fleet, wrapping, records,
}

// Sets of groups that several commands use.
var (
	asksMachine   = []string{deadline, devices, thisMachine, tpmRoots}
	asksReport    = append(slices.Clip(asksMachine), intelTDX, network)
	asksEvidence  = append(slices.Clip(asksMachine), certificates, intelTDX, network)
	asksAuthority = append(slices.Clip(asksEvidence), authorities)
	asksVault     = append(slices.Clip(asksAuthority), vaults, identity, clouds, releases, fleet, records)
	managesKeys   = []string{deadline, network, vaults, identity, clouds}
)

// Uses maps each command to the groups of settings that it accepts as flags. The environment
// and the configuration file may hold every setting.
var Uses = map[string][]string{
	"skr":                 AllGroups,
	"skr serve":           AllGroups,
	"skr config":          AllGroups,
	"skr doctor":          append(slices.Clip(asksVault), Addresses, aliases, files, wrapping),
	"skr release":         append(slices.Clip(asksVault), aliases),
	"skr exec":            append(slices.Clip(asksVault), aliases, following),
	"skr unwrap":          asksVault,
	"skr wrap":            {wrapping},
	"skr healthcheck":     {Addresses},
	"skr agent":           {deadline, devices},
	"skr csi-provider":    append(slices.Clip(asksVault), reuse),
	"skr attest":          nil,
	"skr attest raw":      asksReport,
	"skr attest combined": asksEvidence,
	"skr attest maa":      asksAuthority,
	"skr version":         nil,
	"skr help":            nil,

	"skrctl":                nil,
	"skrctl seal":           managesKeys,
	"skrctl policy":         nil,
	"skrctl policy new":     {clouds},
	"skrctl policy explain": nil,
	"skrctl policy check":   nil,
	"skrctl policy diff":    nil,
	"skrctl policy measure": nil,
	"skrctl policy test":    nil,
	"skrctl conformance":    nil,
	"skrctl inject":         nil,
	"skrctl measure":        nil,
	"skrctl migrate":        nil,
	"skrctl key":            nil,
	"skrctl key create":     managesKeys,
	"skrctl key import":     managesKeys,
	"skrctl key show":       managesKeys,
	"skrctl key public":     managesKeys,
	"skrctl key list":       managesKeys,
	"skrctl key rotate":     managesKeys,
	"skrctl key enable":     managesKeys,
	"skrctl key disable":    managesKeys,
	"skrctl key expire":     managesKeys,
	"skrctl key tag":        managesKeys,
	"skrctl key delete":     managesKeys,
	"skrctl key recover":    managesKeys,
	"skrctl key purge":      managesKeys,
	"skrctl key backup":     managesKeys,
	"skrctl key restore":    managesKeys,

	"skrctl key policy":        nil,
	"skrctl key policy show":   managesKeys,
	"skrctl key policy set":    managesKeys,
	"skrctl key policy allow":  managesKeys,
	"skrctl key policy retire": managesKeys,

	"skrctl rollout":        nil,
	"skrctl rollout plan":   nil,
	"skrctl rollout status": managesKeys,
	"skrctl rollout apply":  managesKeys,

	"skrctl show":          nil,
	"skrctl verify":        {deadline, tpmRoots, certificates, intelTDX, network, authorities, clouds},
	"skrctl report":        nil,
	"skrctl report show":   nil,
	"skrctl report verify": {deadline, certificates, intelTDX, network},
	"skrctl token":         nil,
	"skrctl token show":    nil,
	"skrctl token verify":  {deadline, network, authorities, clouds},
	"skrctl vtpm":          nil,
	"skrctl vtpm show":     nil,
	"skrctl vtpm verify":   {deadline, tpmRoots, certificates, intelTDX, network},
	"skrctl audit":         nil,
	"skrctl audit verify":  nil,

	"skrctl fragment":             nil,
	"skrctl fragment new":         nil,
	"skrctl fragment sign":        nil,
	"skrctl fragment verify":      nil,
	"skrctl fragment show":        nil,
	"skrctl fragment import-rule": nil,
	"skrctl fragment attach":      nil,
	"skrctl fragment fetch":       nil,

	"skrctl version": nil,
	"skrctl help":    nil,
}

// InGroup is the annotation of a flag that names its group for help.
const InGroup = "group"

// AddGroup adds the flags of a group to fs.
func AddGroup(fs *pflag.FlagSet, group string, all *pflag.FlagSet) {
	for _, row := range table() {
		if row.group == group {
			flag := all.Lookup(row.name)
			flag.Annotations = map[string][]string{InGroup: {group}}
			fs.AddFlag(flag)
		}
	}
}

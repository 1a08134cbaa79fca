package main

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"skr/test/emulator"
)

// names are the host names of the emulated services: under .localhost, or those of Azure itself.
type names struct {
	real     bool
	vaults   []string
	isolated bool // whether the isolated authority is served
}

const realPort = "443"

// isolated is the authority whose attestation policies must be signed, before ".attest".
const isolated = "isolated.eus"

func (o serveOptions) names() names {
	n := names{real: o.realNames, vaults: []string{"demo"}, isolated: o.policyCertificate != ""}
	for _, key := range o.keys {
		vault, _, _ := strings.Cut(key, "/")
		n.vaults = append(n.vaults, vault)
	}
	slices.Sort(n.vaults)
	n.vaults = slices.Compact(n.vaults)
	return n
}

// extra returns Azure's names, which the cloud then serves too.
func (n names) extra() []string {
	if !n.real {
		return nil
	}
	hosts := n.realServices()
	for _, vault := range n.vaults {
		hosts = append(hosts, vault+".vault.azure.net", vault+".managedhsm.azure.net")
	}
	return hosts
}

func (n names) realServices() []string {
	hosts := []string{"login.microsoftonline.com", "management.azure.com", "kdsintf.amd.com", "global.acccache.azure.net", "sharedeus.eus.attest.azure.net"}
	if n.isolated {
		hosts = append(hosts, isolated+".attest.azure.net")
	}
	return hosts
}

func (n names) authority(cloud *emulator.Cloud) string {
	if n.real {
		return "sharedeus.eus.attest.azure.net"
	}
	return cloud.AttestationHost()
}

func (n names) vault(cloud *emulator.Cloud, name string) string {
	if n.real {
		return name + ".vault.azure.net"
	}
	return cloud.Host(name, "vault")
}

// hosts returns lines for /etc/hosts, as comments of the shell.
func (n names) hosts(cloud *emulator.Cloud) string {
	all := []string{cloud.LoginHost(), cloud.AttestationHost()}
	if n.isolated {
		all = append(all, cloud.Host(isolated, "attest"))
	}
	for _, vault := range n.vaults {
		all = append(all, cloud.Host(vault, "vault"), cloud.Host(vault, "managedhsm"))
	}
	if n.real {
		all = n.extra()
	}
	var text strings.Builder
	for _, name := range all {
		if host, _, err := net.SplitHostPort(name); err == nil {
			name = host
		}
		fmt.Fprintf(&text, "#hosts 127.0.0.1 %s\n", name)
	}
	return text.String()
}

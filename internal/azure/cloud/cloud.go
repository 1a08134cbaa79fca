// Package cloud completes the short names that people give to vaults and authorities.
//
//	c, err := cloud.Parse("public")
//	c.Vault("contoso", allowed)       // contoso.vault.azure.net
//	c.Authority("sharedeus", allowed) // sharedeus.eus.attest.azure.net
//
// A name is completed only to a host that a wildcard of the allow-list covers, and otherwise left
// as it is: the allow-list then refuses it.
package cloud

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Cloud is one of the clouds of Azure. The zero value is the public cloud.
type Cloud struct{ c *domains }

// domains are the names of a cloud's services ("Azure Key Vault security", DNS suffixes; "Compare
// Azure Government and global Azure"; "Azure in China developer guide"; Microsoft identity
// platform, "National clouds").
type domains struct {
	name  string
	hosts []string // of the services
	login string   // of Entra ID; "" is the default of the libraries
}

var clouds = []domains{
	{"public", []string{"vault.azure.net", "managedhsm.azure.net", "attest.azure.net"}, ""},
	{"usgovernment", []string{"vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net", "attest.azure.us"}, "https://login.microsoftonline.us"},
	{"china", []string{"vault.azure.cn", "managedhsm.azure.cn", "attest.azure.cn"}, "https://login.partner.microsoftonline.cn"},
}

// Names returns the names of all clouds, the public one first.
func Names() []string {
	names := make([]string, len(clouds))
	for i, c := range clouds {
		names[i] = c.name
	}
	return names
}

// Parse returns the cloud of that name.
func Parse(name string) (Cloud, error) {
	for i := range clouds {
		if clouds[i].name == name {
			return Cloud{&clouds[i]}, nil
		}
	}
	return Cloud{}, fmt.Errorf("the cloud %.40q is none of %s", name, strings.Join(Names(), ", "))
}

func (c Cloud) domains() *domains {
	if c.c == nil {
		return &clouds[0]
	}
	return c.c
}

// Login returns the URL of the cloud's Entra ID, or "" for the public cloud.
func (c Cloud) Login() string { return c.domains().login }

var (
	// bare is a name of a vault, with the name of its service if it is a Managed HSM.
	bare = regexp.MustCompile(`^([A-Za-z0-9-]+)(?:\.(vault|managedhsm))?$`)
	// shared is the name of a region's shared provider, sharedREG.REG ("Azure Attestation basic
	// concepts", section "Regional shared provider"). Hosts of other providers contain a region that
	// their name does not show.
	shared = regexp.MustCompile(`^shared([a-z]+[0-9]*)$`)
)

// Vault completes NAME to the host of a Key Vault, and NAME.managedhsm to that of a Managed HSM.
// allowed are entries of vault_allow.
func (c Cloud) Vault(text string, allowed []string) string {
	match := bare.FindStringSubmatch(text)
	if match == nil {
		return text
	}
	service := match[2]
	if service == "" {
		service = "vault"
	}
	return c.complete(text, match[1], service, allowed)
}

// Authority completes the name of a shared provider, such as sharedeus. allowed are entries of
// maa_allow.
func (c Cloud) Authority(text string, allowed []string) string {
	match := shared.FindStringSubmatch(text)
	if match == nil {
		return text
	}
	return c.complete(text, text+"."+match[1], "attest", allowed)
}

// IsShared reports whether Authority completes the text.
func IsShared(text string) bool { return shared.MatchString(text) }

// complete appends the service's domain: the cloud's if the allow-list has it, and otherwise the
// only one that the allow-list has.
func (c Cloud) complete(text, name, service string, allowed []string) string {
	var candidates []string
	for _, entry := range allowed {
		host, _, _ := strings.Cut(entry, "=")
		if domain, wild := strings.CutPrefix(host, "*."); wild && strings.HasPrefix(domain, service+".") && !strings.Contains(domain, "/") {
			candidates = append(candidates, domain)
		}
	}
	for _, domain := range c.domains().hosts {
		if slices.Contains(candidates, domain) {
			return name + "." + domain
		}
	}
	if candidates = slices.Compact(slices.Sorted(slices.Values(candidates))); len(candidates) == 1 {
		return name + "." + candidates[0]
	}
	return text
}

package lint

import (
	"fmt"
	"regexp"
	"strings"

	"skr/attest"
	"skr/internal/azure/endpoint"
	"skr/internal/excerpt"
	"skr/releasepolicy"
)

const https = "https://"

func authorityNotHTTPS(in *inspection) {
	for _, r := range in.roots {
		if !strings.HasPrefix(r.Authority, https) {
			_, host, found := strings.Cut(r.Authority, "://")
			if !found {
				host = r.Authority
			}
			in.report(r.Condition, fmt.Sprintf("the authority %s does not begin with https://", excerpt.Quote(r.Authority)),
				"write https://"+excerpt.Of(strings.TrimLeft(host, "/")))
		}
	}
}

func authorityForm(in *inspection) {
	for _, r := range in.roots {
		if !strings.HasPrefix(r.Authority, https) {
			continue // another rule reports it
		}
		if _, err := endpoint.ParseHost(r.Authority); err != nil {
			in.report(r.Condition, fmt.Sprintf("the authority %s is not the address of a service: %v", excerpt.Quote(r.Authority), err),
				"write the attest URI of the provider, https://HOST, without a path")
		} else if strings.ToLower(r.Authority) != r.Authority { // vaults compare it with the issuer of the token
			in.report(r.Condition, fmt.Sprintf("the authority %s has capitals, and the issuer of a token has none", excerpt.Quote(r.Authority)),
				"write the attest URI of the provider in lower case")
		}
	}
}

func authorityNotAzure(in *inspection) {
	azure, err := attest.ParseAuthorities(attest.DefaultAuthorities())
	if err != nil {
		return // it does not happen: they are constants
	}
	for _, r := range in.roots {
		host, err := endpoint.ParseHost(r.Authority)
		if err != nil {
			continue // another rule reports it
		}
		if _, err := azure.Parse(host.String()); err != nil {
			in.report(r.Condition, fmt.Sprintf("the authority %s is not a host of Microsoft Azure Attestation: the owner of that name decides who gets the key", host),
				"check the name against the provider's attest URI: "+azure.String())
		}
	}
}

func authorityTwice(in *inspection) {
	first := make(map[string]releasepolicy.Condition)
	for _, r := range in.roots {
		name := strings.TrimSuffix(r.Authority, "/")
		if before, twice := first[name]; twice {
			in.report(r.Condition, fmt.Sprintf("the authority %s stands in line %d already: either of the two is enough", excerpt.Quote(r.Authority), before.Line),
				"join the two with an anyOf below one authority, or remove one")
			continue
		}
		first[name] = r.Condition
	}
}

// shared matches the providers that Microsoft runs for all tenants, one in each region
// ("Microsoft Azure Attestation: default providers").
var shared = regexp.MustCompile(`^https://shared[a-z0-9]+\.[a-z0-9]+\.(test\.)?attest\.azure\.(net|us|cn)/?$`)

func sharedAuthority(in *inspection) {
	for _, r := range in.roots {
		if !shared.MatchString(r.Authority) {
			continue
		}
		if branch, open := without(r.Condition, pinsWorkload); open {
			in.report(branch, fmt.Sprintf("%s attests machines of all tenants, and no condition names the workload", r.Authority),
				"add a condition on the workload ("+workloadClaims(r)+"), or use a provider of your own")
		}
	}
}

// workloadClaims names the claims that tell workloads apart. Only containers have HOST_DATA.
func workloadClaims(r root) string {
	const machine = registerValues + "pcrN, or x-ms-azurevm-vmid, of a virtual machine"
	switch kinds := kindsOf(r.Condition); {
	case kinds&ofContainer == 0:
		return machine
	case kinds&ofGuest == 0:
		return hostData
	}
	return hostData + " of containers, " + machine
}

// pinsWorkload reports whether only one tenant's workload meets a comparison. The launch
// measurement does not count: it is Microsoft's, and the same for all tenants.
func pinsWorkload(c releasepolicy.Condition) bool {
	return c.Operator == releasepolicy.Equals && (c.Claim == hostData ||
		strings.HasPrefix(c.Claim, registerValues) || c.Claim == "x-ms-azurevm-vmid")
}

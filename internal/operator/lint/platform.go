package lint

import (
	"strings"

	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// platformsOf returns the named platform, or those that the conditions of an authority may be
// for.
func platformsOf(tree releasepolicy.Condition, named claims.Platform) []claims.Platform {
	if named != "" {
		return []claims.Platform{named}
	}
	var t traces
	comparisons(tree, t.add)
	return t.platforms()
}

// traces are what conditions show of their platform.
type traces struct {
	isolated, machine, container, direct bool
	aci, kata                            bool
}

func (t *traces) add(c releasepolicy.Condition) {
	switch {
	case strings.HasPrefix(c.Claim, isolation):
		t.isolated = true
	case c.Claim == secureBoot, strings.HasPrefix(c.Claim, "x-ms-azurevm-"):
		t.machine = true
	case strings.HasPrefix(c.Claim, "x-ms-sevsnpvm-"):
		t.container = true
	case strings.HasPrefix(c.Claim, tdxClaims):
		t.direct = true
	case c.Claim == attestationType && c.Operator == releasepolicy.Equals:
		t.machine = t.machine || c.Value.Text == "azurevm"
		t.container = t.container || c.Value.Text == "sevsnpvm"
	case c.Claim == compliance && c.Operator == releasepolicy.Equals:
		t.aci = t.aci || c.Value.Text == "azure-compliant-uvm"
		t.kata = t.kata || c.Value.Text == "azure-signed-katacc-uvm"
		t.direct = t.direct || c.Value.Text == "azure-compliant-cvm"
	}
}

// platforms returns virtual machines if the conditions show both them and containers: a
// condition that was copied from a container's policy often lacks its prefix.
func (t *traces) platforms() []claims.Platform {
	switch {
	case t.isolated:
		return []claims.Platform{claims.CVM}
	case t.machine:
		return []claims.Platform{claims.CVM, claims.TrustedLaunch}
	case t.direct:
		return nil // a virtual machine by SevSnpVm or TdxVm, which no platform uses
	case t.aci && !t.kata:
		return []claims.Platform{claims.ACI}
	case t.kata && !t.aci:
		return []claims.Platform{claims.AKSKata}
	case t.container || t.aci:
		return []claims.Platform{claims.ACI, claims.AKSKata}
	}
	return nil
}

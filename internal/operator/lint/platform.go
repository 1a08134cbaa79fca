package lint

import (
	"strings"

	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// platformsOf is the platform that was named, or those that the conditions of one
// authority can be for.
func platformsOf(tree releasepolicy.Condition, named claims.Platform) []claims.Platform {
	if named != "" {
		return []claims.Platform{named}
	}
	var t traces
	comparisons(tree, t.take)
	return t.platforms()
}

// traces are what the conditions tell of their platform.
type traces struct {
	isolated, machine, container, direct bool
	aci, kata                            bool
}

func (t *traces) take(n releasepolicy.Condition) {
	switch {
	case strings.HasPrefix(n.Claim, isolation):
		t.isolated = true
	case n.Claim == secureBoot, strings.HasPrefix(n.Claim, "x-ms-azurevm-"):
		t.machine = true
	case strings.HasPrefix(n.Claim, "x-ms-sevsnpvm-"):
		t.container = true
	case n.Claim == attestationType && n.Operator == releasepolicy.Equals:
		t.machine = t.machine || n.Value.Text == "azurevm"
		t.container = t.container || n.Value.Text == "sevsnpvm"
	case n.Claim == compliance && n.Operator == releasepolicy.Equals:
		t.aci = t.aci || n.Value.Text == "azure-compliant-uvm"
		t.kata = t.kata || n.Value.Text == "azure-signed-katacc-uvm"
		t.direct = t.direct || n.Value.Text == "azure-compliant-cvm"
	}
}

// platforms decides for machines where there is something of both: a condition of
// the direct protocol is easily copied there without its prefix.
func (t *traces) platforms() []claims.Platform {
	switch {
	case t.isolated:
		return []claims.Platform{claims.CVM}
	case t.machine:
		return []claims.Platform{claims.CVM, claims.TrustedLaunch}
	case t.direct:
		return nil // a virtual machine by SevSnpVm: a protocol that none of the platforms uses
	case t.aci && !t.kata:
		return []claims.Platform{claims.ACI}
	case t.kata && !t.aci:
		return []claims.Platform{claims.AKSKata}
	case t.container || t.aci:
		return []claims.Platform{claims.ACI, claims.AKSKata}
	}
	return nil
}

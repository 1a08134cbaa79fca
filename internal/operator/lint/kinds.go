package lint

import (
	"fmt"
	"strings"

	"skr/hsm"
)

// tokenKind is a set of the kinds of tokens that the attestation service issues. No token is
// of two kinds.
type tokenKind uint

const (
	ofACI       tokenKind = 1 << iota // SevSnpVm, container group
	ofKata                            // SevSnpVm, Kata pod
	ofDirectCVM                       // SevSnpVm, virtual machine
	ofDirectTDX                       // TdxVm
	ofGuestSNP                        // AzureGuest, isolated by SEV-SNP
	ofGuestTDX                        // AzureGuest, isolated by TDX
	ofLaunch                          // AzureGuest, trusted launch
	ofOther                           // SGX, other TPMs, what is to come

	ofContainer = ofACI | ofKata
	ofDirect    = ofContainer | ofDirectCVM
	ofIsolated  = ofGuestSNP | ofGuestTDX
	ofGuest     = ofIsolated | ofLaunch
	ofAny       = ofOther<<1 - 1
)

// Beginnings of the claims of TDX ("Microsoft Azure Attestation: TDX claims").
const (
	tdxClaims      = "tdx_"
	tdxDebug       = "tdx_td_attributes_debug"
	tdxAttestation = "tdxvm"
)

// valued are the kinds whose tokens say a value in a claim; values that are not there may
// be of any kind.
var valued = map[string]map[string]tokenKind{
	attestationType:             {"sevsnpvm": ofDirect, tdxAttestation: ofDirectTDX, "azurevm": ofGuest},
	isolation + attestationType: {"sevsnpvm": ofGuestSNP, tdxAttestation: ofGuestTDX},
	compliance: {
		"azure-compliant-uvm": ofACI, "azure-signed-katacc-uvm": ofKata, "azure-compliant-cvm": ofDirectCVM | ofDirectTDX,
	},
}

// kindsOf are the kinds of tokens that may meet a node.
func kindsOf(n hsm.Node) tokenKind {
	if n.Kind == hsm.Claim {
		return kindsOfClaim(n)
	}
	kinds := ofAny
	if n.Kind == hsm.AnyOf {
		kinds = 0
	}
	for _, member := range n.Conditions {
		if n.Kind == hsm.AnyOf {
			kinds |= kindsOf(member)
		} else {
			kinds &= kindsOf(member)
		}
	}
	return kinds
}

// kindsOfClaim: a claim that a token lacks meets nothing but exists false.
func kindsOfClaim(n hsm.Node) tokenKind {
	if absence(n) {
		return ofAny
	}
	if n.Operator == hsm.Equals {
		if kinds, found := valued[n.Claim][n.Value.Text]; found {
			return kinds
		}
	}
	inside, isolated := strings.CutPrefix(n.Claim, isolation)
	switch {
	case isolated && strings.HasPrefix(inside, "x-ms-sevsnpvm-"):
		return ofGuestSNP
	case isolated && strings.HasPrefix(inside, tdxClaims):
		return ofGuestTDX
	case isolated:
		return ofIsolated
	case strings.HasPrefix(inside, tdxClaims):
		return ofDirectTDX
	case strings.HasPrefix(inside, "x-ms-sevsnpvm-uvm-endorsement"):
		return ofContainer
	case inside == hostData && n.Operator == hsm.Equals && n.Value.Text != zeroDigest:
		return ofContainer // zero on every virtual machine
	case strings.HasPrefix(inside, "x-ms-sevsnpvm-"):
		return ofDirect
	case inside == secureBoot, strings.HasPrefix(inside, "x-ms-azurevm-"):
		return ofGuest
	}
	return ofAny
}

// mixedPlatforms runs after the rules that report a single condition, and repeats none of
// their findings.
func mixedPlatforms(in *inspection) {
	for _, r := range in.roots {
		if !in.reported(r) {
			in.mixed(r.Node, hsm.Node{}, ofAny)
		}
	}
}

// reported says whether a condition below r was found to be of another platform.
func (in *inspection) reported(r root) (told bool) {
	comparisons(r.Node, func(n hsm.Node) {
		for _, f := range in.found {
			switch f.Rule {
			case "claim-prefix", "claim-not-on-platform", "value-not-on-platform", "contradiction":
				told = told || f.Line == n.Line && f.Column == n.Column
			}
		}
	})
	return told
}

// mixed reports the first condition of a branch after which no kind of token is left; before
// is the last one that left some out.
func (in *inspection) mixed(n, before hsm.Node, left tokenKind) {
	members := conjuncts(n)
	for _, member := range members {
		kinds := kindsOf(member)
		if kinds != 0 && left&kinds == 0 {
			in.report(member, fmt.Sprintf("no token has both: %s is of another platform than %s in line %d", subject(member), subject(before), before.Line),
				"ask for the claims of one platform; `skrctl policy new` writes them")
			return
		}
		if left&kinds != left {
			left, before = left&kinds, member
		}
	}
	for _, member := range members {
		for _, alternative := range member.Conditions {
			kinds := kindsOf(alternative)
			if kinds != 0 && left&kinds == 0 {
				in.report(alternative, fmt.Sprintf("no token has both: %s is of another platform than %s in line %d", subject(alternative), subject(before), before.Line),
					"remove this alternative, or ask for the claims of one platform")
				continue
			}
			in.mixed(alternative, before, left)
		}
	}
}

// subject is a condition in words; of a group its first comparison.
func subject(n hsm.Node) string {
	for n.Kind != hsm.Claim && len(n.Conditions) > 0 {
		n = n.Conditions[0]
	}
	return excerpt(describe(n))
}

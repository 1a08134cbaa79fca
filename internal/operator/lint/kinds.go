package lint

import (
	"fmt"
	"strings"

	"skr/releasepolicy"
)

// tokenKind is a set of kinds of tokens that the attestation service issues. Each token is of
// one kind.
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

// valued has the kinds whose tokens have a value in a claim. Tokens of any kind may have
// other values.
var valued = map[string]map[string]tokenKind{
	attestationType:             {"sevsnpvm": ofDirect, tdxAttestation: ofDirectTDX, "azurevm": ofGuest},
	isolation + attestationType: {"sevsnpvm": ofGuestSNP, tdxAttestation: ofGuestTDX},
	compliance: {
		"azure-compliant-uvm": ofACI, "azure-signed-katacc-uvm": ofKata, "azure-compliant-cvm": ofDirectCVM | ofDirectTDX,
	},
}

// kindsOf returns the kinds of tokens that may meet a condition.
func kindsOf(c releasepolicy.Condition) tokenKind {
	if c.Kind == releasepolicy.Claim {
		return kindsOfClaim(c)
	}
	kinds := ofAny
	if c.Kind == releasepolicy.AnyOf {
		kinds = 0
	}
	for _, member := range c.Conditions {
		if c.Kind == releasepolicy.AnyOf {
			kinds |= kindsOf(member)
		} else {
			kinds &= kindsOf(member)
		}
	}
	return kinds
}

// kindsOfClaim returns the kinds of tokens that may meet a comparison. A token without the
// claim meets only exists false.
func kindsOfClaim(c releasepolicy.Condition) tokenKind {
	if absence(c) {
		return ofAny
	}
	if c.Operator == releasepolicy.Equals {
		if kinds, found := valued[c.Claim][c.Value.Text]; found {
			return kinds
		}
		if c.Claim == hostData && c.Value.Text != zeroDigest {
			return ofContainer // zero on every virtual machine
		}
	}
	if c.Claim == secureBoot {
		return ofGuest
	}
	for _, family := range families {
		if strings.HasPrefix(c.Claim, family.prefix) {
			return family.kinds
		}
	}
	return ofAny
}

// families are the kinds of tokens that have claims, by the beginning of the claims' names.
// The first that fits decides.
var families = []struct {
	prefix string
	kinds  tokenKind
}{
	{isolation + "x-ms-sevsnpvm-", ofGuestSNP},
	{isolation + tdxClaims, ofGuestTDX},
	{isolation, ofIsolated},
	{tdxClaims, ofDirectTDX},
	{"x-ms-sevsnpvm-uvm-endorsement", ofContainer},
	{"x-ms-sevsnpvm-", ofDirect},
	{"x-ms-azurevm-", ofGuest},
}

// mixedPlatforms runs after the rules that report a single condition, and does not repeat
// their findings.
func mixedPlatforms(in *inspection) {
	for _, r := range in.roots {
		if !in.reported(r) {
			in.mixed(r.Condition, releasepolicy.Condition{}, ofAny)
		}
	}
}

// reported reports whether a finding says that a condition below r is for another platform.
func (in *inspection) reported(r root) (found bool) {
	comparisons(r.Condition, func(c releasepolicy.Condition) {
		for _, f := range in.found {
			switch f.Name {
			case "claim-prefix", "claim-not-on-platform", "value-not-on-platform", "contradiction":
				found = found || f.Line == c.Line && f.Column == c.Column
			}
		}
	})
	return found
}

// mixed reports the first condition of a branch after which no kind of token is left. before
// is the last condition that excluded a kind.
func (in *inspection) mixed(c, before releasepolicy.Condition, left tokenKind) {
	members := conjuncts(c)
	for _, member := range members {
		kinds := kindsOf(member)
		if kinds != 0 && left&kinds == 0 {
			in.report(member, otherPlatform(member, before),
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
				in.report(alternative, otherPlatform(alternative, before),
					"remove this alternative, or ask for the claims of one platform")
				continue
			}
			in.mixed(alternative, before, left)
		}
	}
}

func otherPlatform(c, before releasepolicy.Condition) string {
	return fmt.Sprintf("no token has both: %s is of another platform than %s in line %d", subject(c), subject(before), before.Line)
}

// subject describes a comparison, or the first comparison of a group.
func subject(c releasepolicy.Condition) string {
	for c.Kind != releasepolicy.Claim && len(c.Conditions) > 0 {
		c = c.Conditions[0]
	}
	return c.String()
}

package lint

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"skr/internal/claims"
)

// Names of the claims that the rules and the writer share.
const (
	attestationType = "x-ms-attestation-type"
	compliance      = "x-ms-compliance-status"
	hostData        = "x-ms-sevsnpvm-hostdata"
	measurement     = "x-ms-sevsnpvm-launchmeasurement"
	debuggable      = "x-ms-sevsnpvm-is-debuggable"
	guestSVN        = "x-ms-sevsnpvm-guestsvn"
	endorsedSVN     = "x-ms-sevsnpvm-uvm-endorsement." + guestSVN
	isolation       = "x-ms-isolation-tee."
	registerValues  = "x-ms-azurevm-attested-pcr-values."
	secureBoot      = "secureboot"
)

// debuggers are the claims that must be false on a machine whose boot is measured.
var debuggers = []string{
	"x-ms-azurevm-bootdebug-enabled", "x-ms-azurevm-kerneldebug-enabled", "x-ms-azurevm-hypervisordebug-enabled",
	"x-ms-azurevm-testsigning-enabled", "x-ms-azurevm-flightsigning-enabled",
}

// written is a condition or an authority in the order that people expect.
type written struct {
	Authority       string    `json:"authority,omitempty"`
	Claim           string    `json:"claim,omitempty"`
	Equals          string    `json:"equals,omitempty"`
	GreaterOrEquals *uint64   `json:"greaterOrEquals,omitempty"`
	AnyOf           []written `json:"anyOf,omitempty"`
	AllOf           []written `json:"allOf,omitempty"`
}

func text(roots []written) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(struct { // texts, numbers and a buffer: it cannot fail
		Version string    `json:"version"`
		AnyOf   []written `json:"anyOf"`
	}{"1.0.0", roots})
	return b.Bytes()
}

// conditions are what every authority's token must say. Booleans are written as
// text, which recorded traffic shows to match.
func (s Spec) conditions() []written {
	var all []written
	prefix := ""
	switch s.Platform {
	case claims.ACI, claims.AKSKata:
		all = []written{s.fixed(attestationType), s.fixed(compliance)}
	case claims.CVM:
		prefix = isolation
		all = []written{s.fixed(attestationType), equals(isolation+attestationType, "sevsnpvm"), s.fixed(isolation + compliance)}
	case claims.TrustedLaunch:
		all = []written{s.fixed(attestationType)}
	}
	all = append(all, oneOf(prefix+hostData, s.HostData)...)
	all = append(all, oneOf(prefix+measurement, s.Measurements)...)
	all = append(all, s.strict(prefix)...)
	for _, number := range slices.Sorted(maps.Keys(s.PCRs)) {
		all = append(all, equals(registerValues+"pcr"+strconv.Itoa(number), s.PCRs[number]))
	}
	return append(all, s.minima(prefix)...)
}

// fixed asks for the only value that the platform's tokens have in a claim.
func (s Spec) fixed(claim string) written {
	known, _ := claims.Lookup(claim)
	return equals(claim, known.Values[s.Platform][0])
}

// strict excludes debugging, and a boot that was not secured.
func (s Spec) strict(prefix string) []written {
	var all []written
	if s.Platform != claims.TrustedLaunch {
		all = append(all, equals(prefix+debuggable, "false"))
	}
	if !isContainer(s.Platform) {
		all = append(all, equals(secureBoot, "true"))
	}
	if s.Platform == claims.TrustedLaunch {
		for _, claim := range debuggers {
			all = append(all, equals(claim, "false"))
		}
	}
	return all
}

func (s Spec) minima(prefix string) []written {
	var all []written
	if s.MinimumSVN != nil {
		all = append(all, atLeast(svnClaim(s.Platform), *s.MinimumSVN))
	}
	if tcb := s.MinimumTCB; tcb != nil {
		for _, part := range []struct {
			name  string
			level uint8
		}{{"bootloader", tcb.Bootloader}, {"tee", tcb.TEE}, {"snpfw", tcb.SNP}, {"microcode", tcb.Microcode}} {
			all = append(all, atLeast(prefix+"x-ms-sevsnpvm-"+part.name+"-svn", uint64(part.level)))
		}
	}
	return all
}

// svnClaim is where a platform's tokens tell the security version that rises with
// repairs: containers have it in the endorsement, and a constant in the report.
func svnClaim(p claims.Platform) string {
	if isContainer(p) {
		return endorsedSVN
	}
	return isolation + guestSVN
}

func equals(claim, value string) written { return written{Claim: claim, Equals: value} }

func atLeast(claim string, value uint64) written {
	return written{Claim: claim, GreaterOrEquals: &value}
}

// oneOf is no condition without values, and a group from two on.
func oneOf(claim string, values []string) []written {
	all := make([]written, len(values))
	for i, value := range values {
		all[i] = equals(claim, value)
	}
	if len(all) > 1 {
		return []written{{AnyOf: all}}
	}
	return all
}

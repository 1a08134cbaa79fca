package lint

import (
	"maps"
	"slices"
	"strconv"

	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// Names of the claims that the rules and the writer share.
const (
	attestationType = "x-ms-attestation-type"
	compliance      = "x-ms-compliance-status"
	hostData        = "x-ms-sevsnpvm-hostdata"
	measurement     = "x-ms-sevsnpvm-launchmeasurement"
	tdMeasurement   = "tdx_mrtd"
	debuggable      = "x-ms-sevsnpvm-is-debuggable"
	guestSVN        = "x-ms-sevsnpvm-guestsvn"
	endorsedSVN     = "x-ms-sevsnpvm-uvm-endorsement." + guestSVN
	isolation       = "x-ms-isolation-tee."
	registerValues  = "x-ms-azurevm-attested-pcr-values."
	secureBoot      = "secureboot"
)

// debuggers are claims that must be false on a machine whose boot is measured.
var debuggers = []string{
	"x-ms-azurevm-bootdebug-enabled", "x-ms-azurevm-kerneldebug-enabled", "x-ms-azurevm-hypervisordebug-enabled",
	"x-ms-azurevm-testsigning-enabled", "x-ms-azurevm-flightsigning-enabled",
}

// conditions returns what a token of every authority must have. Booleans are written as text,
// which matches in recorded traffic.
func (s Spec) conditions() []releasepolicy.Condition {
	var all []releasepolicy.Condition
	prefix := ""
	switch s.Platform {
	case claims.ACI, claims.AKSKata:
		all = []releasepolicy.Condition{s.fixed(attestationType), s.fixed(compliance)}
	case claims.CVM, claims.CVMTDX:
		prefix = isolation
		all = []releasepolicy.Condition{s.fixed(attestationType), equals(isolation+attestationType, s.technology()), s.fixed(isolation + compliance)}
	case claims.TrustedLaunch:
		all = []releasepolicy.Condition{s.fixed(attestationType)}
	}
	all = append(all, oneOf(prefix+hostData, s.HostData)...)
	all = append(all, oneOf(prefix+s.measurement(), s.Measurements)...)
	all = append(all, s.strict(prefix)...)
	for _, number := range slices.Sorted(maps.Keys(s.PCRs)) {
		all = append(all, equals(registerValues+"pcr"+strconv.Itoa(number), s.PCRs[number]))
	}
	return append(all, s.minima(prefix)...)
}

// technology returns what isolates the machine.
func (s Spec) technology() string {
	if s.Platform == claims.CVMTDX {
		return tdxAttestation
	}
	return "sevsnpvm"
}

// measurement returns the claim with the launch measurement.
func (s Spec) measurement() string {
	if s.Platform == claims.CVMTDX {
		return tdMeasurement
	}
	return measurement
}

// debugging returns the claim that is true if the host may debug the guest.
func (s Spec) debugging() string {
	if s.Platform == claims.CVMTDX {
		return tdxDebug
	}
	return debuggable
}

// fixed demands the only value that the platform's tokens have in a claim.
func (s Spec) fixed(claim string) releasepolicy.Condition {
	known, _ := claims.Lookup(claim)
	return equals(claim, known.Values[s.Platform][0])
}

// strict excludes debugging and a boot without Secure Boot.
func (s Spec) strict(prefix string) []releasepolicy.Condition {
	var all []releasepolicy.Condition
	if s.Platform != claims.TrustedLaunch {
		all = append(all, equals(prefix+s.debugging(), "false"))
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

func (s Spec) minima(prefix string) []releasepolicy.Condition {
	var all []releasepolicy.Condition
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

// svnClaim returns the claim with the security version that rises with repairs. Containers
// have it in the endorsement; the one in their report is constant.
func svnClaim(p claims.Platform) string {
	if isContainer(p) {
		return endorsedSVN
	}
	return isolation + guestSVN
}

func equals(claim, value string) releasepolicy.Condition {
	return comparison(claim, releasepolicy.Equals, releasepolicy.Text(value))
}

func atLeast(claim string, value uint64) releasepolicy.Condition {
	return comparison(claim, releasepolicy.GreaterOrEquals, releasepolicy.Integer(value))
}

func comparison(claim string, o releasepolicy.Operator, v releasepolicy.Value) releasepolicy.Condition {
	return releasepolicy.Condition{Kind: releasepolicy.Claim, Claim: claim, Operator: o, Value: v}
}

// oneOf returns no condition without values, and a group from two on.
func oneOf(claim string, values []string) []releasepolicy.Condition {
	all := make([]releasepolicy.Condition, len(values))
	for i, value := range values {
		all[i] = equals(claim, value)
	}
	if len(all) > 1 {
		return []releasepolicy.Condition{{Kind: releasepolicy.AnyOf, Conditions: all}}
	}
	return all
}

package rollout

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"skr/internal/azure/endpoint"
	"skr/releasepolicy"
)

// Selection is what a change adds to a policy or removes from it.
type Selection struct {
	// Measurements in hexadecimal: HOST_DATA of containers (64 digits) or launch measurements of
	// virtual machines (96 digits).
	Measurements []string
	// Authorities are hosts, or https URLs of hosts.
	Authorities []string
}

// Names of the claims with measurements, and of the object that holds those of a virtual machine.
const (
	hostData     = "x-ms-sevsnpvm-hostdata"
	sevSNP       = "x-ms-sevsnpvm-"
	launch       = sevSNP + "launchmeasurement"
	tdx          = "tdx_"
	tdLaunch     = tdx + "mrtd"
	isolation    = "x-ms-isolation-tee."
	hostDigits   = 64 // AMD 56860, table "ATTESTATION_REPORT structure"
	launchDigits = 96
)

// errOpen is the error of a policy that does not look at measurements.
var errOpen = errors.New("the policy does not list measurements, so every workload that the authority attests has the key already; " +
	"add a condition with skrctl key policy set")

// Allow returns the policy that also trusts the authorities, and admits the measurements from all
// authorities. If nothing is missing, it returns p.
func (s Selection) Allow(p *releasepolicy.Policy) (*releasepolicy.Policy, error) {
	authorities, err := urls(s.Authorities)
	if err != nil {
		return nil, err
	}
	for _, name := range authorities {
		if p, err = p.AllowAuthority(name); err != nil {
			return nil, err
		}
	}
	return s.measurements(p, func(p *releasepolicy.Policy, claim, value string) (*releasepolicy.Policy, error) {
		if _, all := p.Listed(claim); all {
			return nil, errOpen
		}
		return p.Allow(claim, value)
	})
}

// Retire returns the policy without the measurements and the authorities. If none is there, it
// returns p.
func (s Selection) Retire(p *releasepolicy.Policy) (*releasepolicy.Policy, error) {
	authorities, err := urls(s.Authorities)
	if err != nil {
		return nil, err
	}
	p, err = s.measurements(p, func(p *releasepolicy.Policy, claim, value string) (*releasepolicy.Policy, error) {
		return p.Retire(claim, value)
	})
	for _, name := range authorities {
		if err == nil {
			p, err = p.RetireAuthority(name)
		}
	}
	return p, err
}

// measurements changes the policy for each measurement.
func (s Selection) measurements(p *releasepolicy.Policy, change func(p *releasepolicy.Policy, claim, value string) (*releasepolicy.Policy, error),
) (*releasepolicy.Policy, error) {
	for _, text := range s.Measurements {
		value, claim, err := measurementOf(p, text)
		if err != nil {
			return nil, err
		}
		if p, err = change(p, claim, value); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// measurementOf returns a measurement in the spelling of tokens, and its claim in the policy.
func measurementOf(p *releasepolicy.Policy, text string) (value, claim string, err error) {
	value = strings.ToLower(strings.TrimSpace(text))
	_, err = hex.DecodeString(value)
	switch {
	case err != nil || len(value) != hostDigits && len(value) != launchDigits:
		return "", "", fmt.Errorf("the measurement %.200q is neither HOST_DATA (%d hexadecimal digits) nor a launch measurement (%d digits)",
			text, hostDigits, launchDigits)
	case len(value) == hostDigits:
		return value, hostData, nil
	}
	return value, launchClaim(p), nil
}

// launchClaim returns the claim with the launch measurement. Tokens of virtual machines have it
// below x-ms-isolation-tee. In a policy for both technologies it is that of SEV-SNP.
func launchClaim(p *releasepolicy.Policy) string {
	has := func(prefix string) bool {
		return slices.ContainsFunc(p.Claims(), func(name string) bool { return strings.HasPrefix(name, prefix) })
	}
	switch {
	case has(isolation+tdx) && !has(isolation+sevSNP):
		return isolation + tdLaunch
	case has(isolation):
		return isolation + launch
	}
	return launch
}

// MeasurementClaims returns the claims of the policy that hold measurements: of containers, and of
// virtual machines.
func MeasurementClaims(p *releasepolicy.Policy) []string { return []string{hostData, launchClaim(p)} }

func urls(names []string) ([]string, error) {
	all := make([]string, len(names))
	for i, name := range names {
		host, err := endpoint.ParseHost(name)
		if err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		all[i] = host.URL()
	}
	return all, nil
}

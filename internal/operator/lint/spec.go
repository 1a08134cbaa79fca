package lint

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"skr/attest/snp"
	"skr/internal/azure/endpoint"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// Spec is what a new policy asks for.
type Spec struct {
	// Platform decides which claims there are. Required.
	Platform claims.Platform
	// Authorities are hosts, or https URLs of hosts. At least one is required.
	Authorities []string
	// HostData are the HOST_DATA of the workloads that may have the key, 64 hexadecimal digits
	// each. Containers need one.
	HostData []string
	// AllowAll are those of HostData whose execution policy allows everything. New refuses
	// them.
	AllowAll []string
	// AnyWorkload, with an empty HostData, gives the key to every container of every tenant
	// that the authorities attest.
	AnyWorkload bool
	// Measurements are the launch measurements that are accepted (MRTD of TDX), 96 hexadecimal
	// digits each.
	// If it is empty, the compliance status decides.
	Measurements []string
	// PCRs are values of the vTPM's registers by number, each 32 bytes in
	// hexadecimal or base64. Virtual machines only.
	PCRs map[int]string
	// MinimumSVN is the lowest accepted security version of the utility VM (containers) or of
	// the guest (cvm). Nil accepts all.
	MinimumSVN *uint64
	// MinimumTCB has the lowest accepted patch levels of the reported TCB. Nil accepts all.
	MinimumTCB *snp.Components
}

// New writes a policy, indented for people. [Check] finds no errors in it, unless AnyWorkload
// is set.
func New(s Spec) (*releasepolicy.Policy, error) {
	policy, err := s.policy()
	if err != nil {
		return nil, fmt.Errorf("writing the policy: %w", err)
	}
	return policy, nil
}

func (s Spec) policy() (*releasepolicy.Policy, error) {
	authorities, err := s.authorities()
	if err != nil {
		return nil, err
	}
	if err := s.normalise(); err != nil {
		return nil, err
	}
	conditions := s.conditions()
	roots := make([]releasepolicy.Condition, len(authorities))
	for i, name := range authorities {
		roots[i] = releasepolicy.Condition{Kind: releasepolicy.AllOf, Authority: name, Conditions: conditions}
	}
	return releasepolicy.New(roots...)
}

func (s Spec) authorities() ([]string, error) {
	if len(s.Authorities) == 0 {
		return nil, errors.New("it needs an authority")
	}
	urls := make([]string, len(s.Authorities))
	for i, name := range s.Authorities {
		host, err := endpoint.ParseHost(name)
		if err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		urls[i] = host.URL()
	}
	return urls, nil
}

// normalise checks the values and spells them as tokens do.
func (s *Spec) normalise() (err error) {
	if _, err := claims.ParsePlatform(s.Platform.String()); err != nil {
		return err
	}
	if err := s.suits(); err != nil {
		return err
	}
	if s.HostData, err = hexadecimal("HOST_DATA", hostDataDigits, s.HostData); err != nil {
		return err
	}
	for _, digest := range s.HostData {
		reason := worthless(digest)
		if slices.Contains(s.AllowAll, digest) {
			reason = worthless(allowAll[0])
		}
		if reason != "" {
			return fmt.Errorf("the HOST_DATA %s %s", digest, reason)
		}
	}
	if s.Measurements, err = hexadecimal("launch measurement", measurementDigits, s.Measurements); err != nil {
		return err
	}
	s.PCRs, err = registers(s.PCRs)
	return err
}

// suits refuses conditions on what the platform's tokens do not have.
func (s *Spec) suits() error {
	if isContainer(s.Platform) {
		return s.suitsContainer()
	}
	switch {
	case len(s.HostData) > 0 || s.AnyWorkload:
		return fmt.Errorf("%s has no HOST_DATA: it is zero on every virtual machine", s.Platform)
	case s.Platform == claims.TrustedLaunch && (len(s.Measurements) > 0 || s.MinimumSVN != nil || s.MinimumTCB != nil):
		return fmt.Errorf("%s has no report: neither launch measurement nor versions", s.Platform)
	case s.Platform == claims.CVMTDX && (s.MinimumSVN != nil || s.MinimumTCB != nil):
		return fmt.Errorf("%s has none of the versions of SEV-SNP; "+
			"to demand a patch level, add a condition on %sattester_tcb_status to the policy", s.Platform, isolation)
	}
	return nil
}

func (s *Spec) suitsContainer() error {
	switch {
	case len(s.HostData) == 0 && !s.AnyWorkload:
		return fmt.Errorf("%s needs the HOST_DATA of the workload: without it every container of every tenant gets the key", s.Platform)
	case len(s.PCRs) > 0:
		return fmt.Errorf("%s has no PCRs", s.Platform)
	}
	return nil
}

func isContainer(p claims.Platform) bool { return p.IsContainer() }

// Lengths of values in hexadecimal digits (AMD 56860, table "ATTESTATION_REPORT
// structure").
const (
	hostDataDigits    = 64
	measurementDigits = 96
	registerBytes     = 32 // SHA-256 bank
	lastRegister      = 23
)

func hexadecimal(what string, digits int, values []string) ([]string, error) {
	all := make([]string, 0, len(values))
	for _, value := range values {
		value = strings.ToLower(strings.TrimSpace(value))
		if _, err := hex.DecodeString(value); err != nil || len(value) != digits {
			return nil, fmt.Errorf("the %s %.200q is not %d hexadecimal digits", what, value, digits)
		}
		all = append(all, value)
	}
	return all, nil
}

// registers spells PCR values in standard base64. That tokens use this alphabet is
// UNCONFIRMED.
func registers(given map[int]string) (map[int]string, error) {
	all := make(map[int]string, len(given))
	for number, value := range given {
		if number < 0 || number > lastRegister {
			return nil, fmt.Errorf("PCR %d does not exist", number)
		}
		digest, err := hex.DecodeString(value)
		if err != nil {
			digest, err = base64.StdEncoding.Strict().DecodeString(value)
		}
		if err != nil || len(digest) != registerBytes {
			return nil, fmt.Errorf("the value %.200q of PCR %d is not %d bytes in hexadecimal or base64", value, number, registerBytes)
		}
		all[number] = base64.StdEncoding.EncodeToString(digest)
	}
	return all, nil
}

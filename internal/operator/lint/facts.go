package lint

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/internal/strictjson"
	"skr/releasepolicy/claims"
)

// Facts are values that a machine reports and a new policy can demand. Values that it does not
// report are empty or nil.
type Facts struct {
	issuer, hostData           string
	measurement, tdMeasurement string
	registers                  map[int]string
	guestSVN, endorsedSVN      *uint64
	tcb                        *snp.Components
}

// FactsOfReport returns the facts in a report. The report may be unverified: the policy demands
// what it says.
func FactsOfReport(r *snp.Report) Facts {
	tcb, svn := r.ReportedTCB().Components(), uint64(r.GuestSVN())
	return Facts{hostData: r.HostData().String(), measurement: r.Measurement().String(), guestSVN: &svn, tcb: &tcb}
}

// FactsOfQuote returns the facts in a TDX quote. The quote may be unverified: the policy demands
// what it says.
func FactsOfQuote(q *tdx.Quote) Facts { return Facts{tdMeasurement: q.MRTD().String()} }

// FactsOfClaims returns the facts in a token, which may be unverified. If the token has
// x-ms-isolation-tee, those of the virtual machine are below it.
func FactsOfClaims(token strictjson.Object) Facts {
	prefix := ""
	if _, found := token.Lookup(strings.TrimSuffix(isolation, ".")); found {
		prefix = isolation
	}
	f := Facts{registers: make(map[int]string)}
	f.issuer, _ = token.Text("iss")
	f.hostData, _ = token.Text(prefix + hostData)
	f.measurement, _ = token.Text(prefix + measurement)
	f.tdMeasurement, _ = token.Text(prefix + tdMeasurement)
	f.guestSVN, f.endorsedSVN = number(token, prefix+guestSVN), number(token, endorsedSVN)
	for i := range lastRegister + 1 {
		if value, found := token.Text(registerValues + "pcr" + strconv.Itoa(i)); found {
			f.registers[i] = value
		}
	}
	f.tcb = tcbOf(token, prefix)
	return f
}

func tcbOf(token strictjson.Object, prefix string) *snp.Components {
	var levels [4]uint8
	for i, part := range []string{"bootloader", "tee", "snpfw", "microcode"} {
		level := number(token, prefix+"x-ms-sevsnpvm-"+part+"-svn")
		if level == nil || *level > 255 {
			return nil
		}
		levels[i] = uint8(*level) // #nosec G115 -- at most 255
	}
	return &snp.Components{Bootloader: levels[0], TEE: levels[1], SNP: levels[2], Microcode: levels[3]}
}

// number returns a claim that is a number, or a text with one.
func number(token strictjson.Object, claim string) *uint64 {
	value, _ := token.Lookup(claim)
	text, _ := value.(string)
	if n, ok := value.(json.Number); ok {
		text = n.String()
	}
	parsed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil
	}
	return &parsed
}

// Adopt makes facts conditions of the policy: for containers always HOST_DATA, and what wanted
// names: "launch-measurement", "svn", "tcb", "pcr0" to "pcr23". If the Spec has no authority,
// the issuer becomes one.
func (s *Spec) Adopt(f Facts, wanted []string) error {
	if len(s.Authorities) == 0 && f.issuer != "" {
		s.Authorities = []string{f.issuer}
	}
	if isContainer(s.Platform) && f.hostData != "" {
		s.HostData = append(s.HostData, f.hostData)
	}
	for _, name := range wanted {
		if !s.adopt(f, name) {
			return fmt.Errorf("adopting %.50q: what was given does not say it of %s", name, s.Platform)
		}
	}
	return nil
}

func (s *Spec) adopt(f Facts, name string) bool {
	switch name {
	case "launch-measurement":
		value := f.measurement
		if s.Platform == claims.CVMTDX {
			value = f.tdMeasurement
		}
		s.Measurements = append(s.Measurements, value)
		return value != ""
	case "svn":
		s.MinimumSVN = f.guestSVN
		if isContainer(s.Platform) {
			s.MinimumSVN = f.endorsedSVN
		}
		return s.MinimumSVN != nil && s.Platform != claims.TrustedLaunch && s.Platform != claims.CVMTDX
	case "tcb":
		s.MinimumTCB = f.tcb
		return f.tcb != nil
	}
	return s.adoptRegister(f, name)
}

func (s *Spec) adoptRegister(f Facts, name string) bool {
	digits, _ := strings.CutPrefix(name, "pcr")
	register, err := strconv.Atoi(digits)
	value, found := f.registers[register]
	if err != nil || !found {
		return false
	}
	if s.PCRs == nil {
		s.PCRs = make(map[int]string)
	}
	s.PCRs[register] = value
	return true
}

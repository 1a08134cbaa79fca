package verify

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/attest/vtpm"
	"skr/internal/operator/inspect"
)

// Machine is the evidence of a measured boot with what it is compared with.
type Machine struct {
	Boot   inspect.Boot
	Policy *BootPolicy
	// Nonce that was sent; nil for the policy's, if it has one.
	Nonce []byte
	// Roots certify attestation keys.
	Roots *vtpm.Roots
	// Given holds the chain for the HCL report, and all parts.
	Given Given
}

// bootPlan returns the checks that the policy demands.
func (m Machine) bootPlan() plan {
	needed := plan{contents, attestationKey, quoteSignature, pcrSelection, pcrValues}
	if m.Policy.AK() == AKFromHCL {
		hardware := reportPlan
		if m.isTDX() {
			hardware = tdxPlan
		}
		needed = slices.Concat(needed, hardware, plan{runtimeData}, identityPlan(m.Policy))
	}
	return needed.with(m.Given.GivenChain != nil, certificateChain).with(m.nonce() != nil, nonce).
		with(len(m.Policy.Pinned()) > 0, pinnedPCRs).with(m.Policy.Logged() != 0, eventLog).with(m.Policy.SecureBoot(), secureBoot)
}

// isTDX reports whether the HCL report is of a TDX machine.
func (m Machine) isTDX() bool { return m.Boot.HCL != nil && m.Boot.HCL.TDReport() != nil }

// judged returns the kinds of parts that the policy's rules look at.
func (m Machine) judged() []inspect.Kind {
	kinds := []inspect.Kind{inspect.Quote, inspect.Signature, inspect.PCRs}
	switch {
	case m.Policy.AK() != AKFromHCL:
		kinds = append(kinds, inspect.Certificates)
	case m.isTDX():
		kinds = append(kinds, tdxJudged(m.Given.Parts)...)
	default:
		kinds = append(kinds, inspect.HCLReport, inspect.Report, inspect.Chain, inspect.THIM)
	}
	if m.Policy.Logged() != 0 {
		kinds = append(kinds, inspect.EventLog)
	}
	return kinds
}

// OfBoot verifies a measured boot: who vouches for the TPM, what it quoted, and whether that
// meets the policy.
func OfBoot(m Machine, trusted Silicon, at time.Time) *Verdict {
	v := newVerdict(Boot, at, m.bootPlan()...)
	v.checkContents(m.Given.Parts, false, m.judged()...)
	var key *rsa.PublicKey
	if m.Policy.AK() == AKFromHCL {
		key = v.checkHCL(m, trusted, at)
	} else {
		key = v.checkCertificate(m, at)
	}
	if v.checkQuote(m, key) {
		v.checkPCRs(m)
	}
	return v.finish(slices.Concat(m.unquoted(), m.neverLooked())...)
}

// unquoted names the values of PCRs that the quote does not cover.
func (m Machine) unquoted() []string {
	var free vtpm.Selection
	for pcr := range m.Boot.PCRs {
		if !m.Policy.Selection().Has(pcr) {
			free |= 1 << pcr
		}
	}
	if free == 0 {
		return nil
	}
	return []string{"the values of PCR " + free.String() + ", which are not in the selection"}
}

// neverLooked lists what neither the policy nor the rules look at. Of TDX, the verdict has
// checks of revocation and firmware, which say if they were skipped.
func (m Machine) neverLooked() []string {
	p := m.Policy
	free := p.Selection()
	for _, pcr := range p.Pinned() {
		free &^= 1 << pcr
	}
	if p.SecureBoot() {
		free &^= 1 << vtpm.SecureBootPCR
	}
	never := []string{"the keys in db and dbx"}
	if !m.isTDX() {
		never = append(never, "revocation lists", "whether firmware is new enough")
	}
	if free == 0 {
		return never
	}
	return append([]string{"what PCR " + free.String() + " stand for, which the policy does not pin"}, never...)
}

// checkHCL returns the key that the paravisor names, also if a check fails.
func (v *Verdict) checkHCL(m Machine, trusted Silicon, at time.Time) *rsa.PublicKey {
	h := m.Boot.HCL
	if h == nil {
		v.record(attestationKey, "", errors.New("there is no HCL report"))
		return nil
	}
	if m.isTDX() {
		v.checkTDXMachine(m, trusted, at)
	} else {
		v.checkSNPMachine(m, trusted, at)
	}
	key, err := h.Claims().AK()
	v.record(attestationKey, "HCLAkPub of the runtime data", err)
	return key
}

// checkSNPMachine checks the report in the HCL report, and which guest made it.
func (v *Verdict) checkSNPMachine(m Machine, trusted Silicon, at time.Time) {
	g, h := m.Given, m.Boot.HCL
	if g.Report, g.ReportErr = h.Report(), nil; g.Report == nil {
		g.ReportErr = inspect.OtherHardware(h.Hardware())
	}
	v.checkReport(&g, trusted, at)
	if g.Report == nil {
		v.skip(runtimeData, errNoReport.Error())
		return
	}
	v.checkIdentity(m.Policy, g.Report)
	v.record(runtimeData, "bound", h.CheckBound())
}

// checkTDXMachine checks the quote of the TD report in the HCL report, and which guest made it.
func (v *Verdict) checkTDXMachine(m Machine, trusted Silicon, at time.Time) {
	g := m.Given
	g.TDReport, g.TDReportErr, g.RuntimeData, g.GivenData = m.Boot.HCL.TDReport(), nil, m.Boot.HCL.Claims().Raw(), nil
	v.require(tdReport)
	v.checkTD(&g, trusted, at)
	if g.TDQuote == nil {
		v.skip(tdReport, "there is no TDX quote")
	} else {
		v.checkTDIdentity(m.Policy, g.TDQuote)
	}
	v.checkTDData(g)
}

// checkCertificate returns the certified key, also if the certificate does not verify.
func (v *Verdict) checkCertificate(m Machine, at time.Time) *rsa.PublicKey {
	certificate := m.Boot.Certificate
	if certificate == nil {
		v.record(attestationKey, "", errors.New("there is no certificate of an attestation key"))
		return nil
	}
	v.record(attestationKey, "certificate of "+certificate.Certificate().Subject.CommonName, certificate.Verify(m.Roots, m.Boot.Issuers, at))
	return certificate.Key()
}

// checkQuote reports whether there is a quote.
func (v *Verdict) checkQuote(m Machine, key *rsa.PublicKey) bool {
	quote := m.Boot.Quote
	switch {
	case quote == nil:
		v.record(quoteSignature, "", errors.New("there is no quote"))
		return false
	case key == nil:
		v.skip(quoteSignature, "there is no attestation key")
	default:
		v.record(quoteSignature, describeClock(quote.Clock()), quote.VerifySignature(key))
	}
	v.checkNonce(m)
	v.record(pcrSelection, "PCR "+quote.Selection().String(), quote.CheckSelection(m.Policy.Selection()))
	return true
}

func describeClock(c vtpm.Clock) string {
	return fmt.Sprintf("by the attestation key, start %d, resumption %d, TPM firmware %x", c.ResetCount, c.RestartCount, c.Firmware)
}

// nonce returns the nonce that the quote must have; nil for any.
func (m Machine) nonce() []byte {
	if m.Nonce != nil {
		return m.Nonce
	}
	return m.Policy.Nonce()
}

func (v *Verdict) checkNonce(m Machine) {
	want := m.nonce()
	if want == nil {
		v.skip(nonce, "none was given, so the quote may be of any time")
		return
	}
	v.record(nonce, "the one that was given", m.Boot.Quote.CheckNonce(want))
}

func (v *Verdict) checkPCRs(m Machine) {
	if m.Boot.PCRs == nil {
		v.record(pcrValues, "", errors.New("there are no values of PCRs"))
		return
	}
	err := m.Boot.Quote.CheckPCRs(m.Boot.PCRs)
	v.record(pcrValues, "as quoted", err)
	if err != nil {
		for _, name := range []string{pinnedPCRs, eventLog, secureBoot} {
			v.skip(name, "the values are not those of the quote")
		}
		return
	}
	v.checkPinned(m)
	v.checkSecureBoot(m, v.checkLog(m))
}

func (v *Verdict) checkPinned(m Machine) {
	pinned := m.Policy.Pinned()
	if len(pinned) == 0 {
		v.skip(pinnedPCRs, "the policy has none")
		return
	}
	var wrong []string
	for _, pcr := range pinned {
		if value := m.Boot.PCRs[pcr]; !m.Policy.Allows(pcr, value) {
			wrong = append(wrong, fmt.Sprintf("PCR %d is %s", pcr, value))
		}
	}
	var err error
	if wrong != nil {
		err = errors.New("the policy does not have: " + strings.Join(wrong, "; "))
	}
	v.record(pinnedPCRs, fmt.Sprintf("%d of them", len(pinned)), err)
}

// checkLog reports whether the log explains the PCRs that the policy demands.
func (v *Verdict) checkLog(m Machine) bool {
	needed := m.Policy.Logged()
	if needed == 0 {
		v.skip(eventLog, "the policy has no PCR that it must explain")
		return false
	}
	err := vtpm.ErrNoLog
	if m.Boot.Log != nil {
		err = m.Boot.Log.Explain(m.Boot.PCRs, needed)
	}
	v.record(eventLog, "its events lead to PCR "+needed.String(), err)
	return err == nil
}

func (v *Verdict) checkSecureBoot(m Machine, explained bool) {
	switch {
	case !m.Policy.SecureBoot():
		v.skip(secureBoot, "the policy does not demand it")
	case !explained:
		v.skip(secureBoot, "there is no log that shows it")
	default:
		v.record(secureBoot, "on", secureBootOf(m))
	}
}

// secureBootOf returns an error unless secure boot is on by the log and, on a confidential VM,
// by the paravisor.
func secureBootOf(m Machine) error {
	state, err := m.Boot.Log.SecureBoot()
	if err != nil {
		return err
	}
	if !state.Enabled {
		return errors.New("it is off: " + state.Reason)
	}
	if m.Policy.AK() == AKFromHCL && m.Boot.HCL != nil {
		if on, known := m.Boot.HCL.Claims().SecureBoot(); known && !on {
			return errors.New("it is off: the paravisor has it configured off")
		}
	}
	return nil
}

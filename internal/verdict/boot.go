package verdict

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/attest/vtpm"
	"skr/internal/artefact"
	"skr/internal/bootpolicy"
)

// Machine is the evidence of a measured boot with what it is held against.
type Machine struct {
	Boot   artefact.Boot
	Policy *bootpolicy.Policy
	// Nonce that was sent; nil for that of the policy, if it has one.
	Nonce []byte
	// Roots certify attestation keys; without an HCL report they are all there is.
	Roots *vtpm.Roots
	// Evidence may have the chain of the HCL report's processor.
	Evidence artefact.Evidence
}

// OfBoot verifies a measured boot: whose TPM it is, what it quoted, and whether that
// is what the policy demands.
func OfBoot(m Machine, trusted Silicon, at time.Time) *Verdict {
	v := newVerdict(Boot, at)
	var key *rsa.PublicKey
	if m.Policy.Trust() == bootpolicy.HCL {
		key = v.checkHCL(m, trusted, at)
	} else {
		key = v.checkCertificate(m, at)
	}
	if v.checkQuote(m, key) {
		v.checkPCRs(m)
	}
	return v
}

// checkHCL gives the key that the paravisor names, good or bad.
func (v *Verdict) checkHCL(m Machine, trusted Silicon, at time.Time) *rsa.PublicKey {
	h := m.Boot.HCL
	if h == nil {
		v.record(attestationKey, "", errors.New("there is no HCL report"))
		return nil
	}
	if h.Report() != nil {
		e := artefact.Evidence{Report: h.Report(), Chain: m.Evidence.Chain, ChainErr: m.Evidence.ChainErr}
		v.checkChain(&e, trusted, at)
		v.checkReport(e)
		v.checkMeasurement(m)
	}
	v.record(runtimeData, "bound", h.CheckBound())
	key, err := h.Claims().AK()
	v.record(attestationKey, "HCLAkPub of the runtime data", err)
	return key
}

func (v *Verdict) checkMeasurement(m Machine) {
	got, good := m.Boot.HCL.Report().Measurement(), m.Policy.Measurements()
	if good == nil {
		v.skip(launchMeasurement, "the policy has none")
		return
	}
	var err error
	if !slices.Contains(good, got) {
		err = fmt.Errorf("the policy does not have %s", got)
	}
	v.record(launchMeasurement, got.String(), err)
}

// checkCertificate gives the key that Azure certifies, good or bad.
func (v *Verdict) checkCertificate(m Machine, at time.Time) *rsa.PublicKey {
	certificate := m.Boot.Certificate
	if certificate == nil {
		v.record(attestationKey, "", errors.New("there is no certificate of an attestation key"))
		return nil
	}
	v.record(attestationKey, "certificate of "+certificate.Certificate().Subject.CommonName, certificate.Verify(m.Roots, m.Boot.Issuers, at))
	return certificate.Key()
}

// checkQuote says whether there is a quote at all.
func (v *Verdict) checkQuote(m Machine, key *rsa.PublicKey) bool {
	quote := m.Boot.Quote
	switch {
	case quote == nil:
		v.record(quoteSignature, "", errors.New("there is no quote"))
		return false
	case key == nil:
		v.skip(quoteSignature, "there is no attestation key")
	default:
		v.record(quoteSignature, tellClock(quote.Clock()), quote.VerifySignature(key))
	}
	v.checkNonce(m)
	v.record(pcrSelection, "PCR "+quote.Selection().String(), quote.CheckSelection(m.Policy.Selection()))
	return true
}

func tellClock(c vtpm.Clock) string {
	return fmt.Sprintf("by the attestation key, start %d, resumption %d, TPM firmware %x", c.ResetCount, c.RestartCount, c.Firmware)
}

func (v *Verdict) checkNonce(m Machine) {
	want := m.Nonce
	if want == nil {
		want = m.Policy.Nonce()
	}
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

// checkLog says whether the log may be believed.
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

func (v *Verdict) checkSecureBoot(m Machine, believed bool) {
	switch {
	case !m.Policy.SecureBoot():
		v.skip(secureBoot, "the policy does not demand it")
	case !believed:
		v.skip(secureBoot, "there is no log that tells it")
	default:
		v.record(secureBoot, "on", secureBootOf(m))
	}
}

// secureBootOf asks the log, and on a confidential VM the paravisor, too.
func secureBootOf(m Machine) error {
	state, err := m.Boot.Log.SecureBoot()
	if err != nil {
		return err
	}
	if !state.Enabled {
		return errors.New("it is off: " + state.Reason)
	}
	if m.Policy.Trust() == bootpolicy.HCL && m.Boot.HCL != nil {
		if on, known := m.Boot.HCL.Claims().SecureBoot(); known && !on {
			return errors.New("it is off: the paravisor has it configured off")
		}
	}
	return nil
}

package verify

import (
	"errors"
	"fmt"
	"slices"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vtpm"
)

// identityPlan returns how the policy identifies the paravisor: by its measurement, by its
// signer or, if the policy says so, not at all.
func identityPlan(p *BootPolicy) plan {
	var needed plan
	if len(p.Measurements()) > 0 {
		needed = append(needed, launchMeasurement)
	}
	if p.Signers() || len(p.Measurements()) == 0 && !p.AnyMeasurement() {
		needed = append(needed, paravisor)
	}
	return needed
}

// checkIdentity checks which guest made the report. The claims in an HCL report can be trusted
// only if the guest that put their hash into REPORT_DATA is a paravisor.
func (v *Verdict) checkIdentity(p *BootPolicy, report *snp.Report) {
	v.checkMeasurement(p, report.Measurement())
	v.checkParavisor(p, report)
}

// checkTDIdentity is checkIdentity for TDX, where no key signs the guest: only MRTD identifies it.
func (v *Verdict) checkTDIdentity(p *BootPolicy, q *tdx.Quote) {
	v.checkMeasurement(p, snp.Measurement(q.MRTD()))
	switch {
	case p.Signers():
		v.record(paravisor, "", errors.New("the policy has keys that sign the guest, and a TDX guest has no such key"))
	case p.AnyMeasurement():
		v.skip(paravisor, anyGuestText)
	case len(p.Measurements()) > 0:
		v.skip(paravisor, "the policy pins the measurement")
	default:
		v.record(paravisor, "", fmt.Errorf("a TDX guest is not signed by a key of Azure's, and the policy does not pin MRTD, %s", q.MRTD()))
	}
}

func (v *Verdict) checkMeasurement(p *BootPolicy, measured snp.Measurement) {
	if len(p.Measurements()) == 0 {
		v.skip(launchMeasurement, noMeasurement(p))
		return
	}
	var err error
	if !slices.Contains(p.Measurements(), measured) {
		err = fmt.Errorf("the policy does not have %s", measured)
	}
	v.record(launchMeasurement, measured.String(), err)
}

const anyGuestText = "the policy has measurements: any, so that every guest passes"

func noMeasurement(p *BootPolicy) string {
	if p.AnyMeasurement() {
		return "the policy has measurements: any"
	}
	return "the policy has none"
}

func (v *Verdict) checkParavisor(p *BootPolicy, report *snp.Report) {
	id := report.IDKeyDigest()
	switch {
	case p.Signers():
		v.record(paravisor, "signed by a key of the policy", p.CheckSigner(report))
	case p.AnyMeasurement():
		v.skip(paravisor, anyGuestText)
	case len(p.Measurements()) > 0:
		v.skip(paravisor, "the policy pins the measurement")
	default:
		v.record(paravisor, fmt.Sprintf("signed by a key of Azure's, %x", id), checkKnown(report))
	}
}

func checkKnown(report *snp.Report) error {
	switch id := report.IDKeyDigest(); {
	case id == [48]byte{}:
		return errors.New("this guest is not signed (ID_KEY_DIGEST is zero)")
	case !vtpm.KnownParavisor(report):
		return fmt.Errorf("the key that signed this guest is not known as Azure's: ID_KEY_DIGEST is %x", id)
	}
	return nil
}

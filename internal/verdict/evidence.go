package verdict

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/internal/artefact"
)

// Silicon is what reports are held against.
type Silicon struct {
	// Roots are the trusted ARKs.
	Roots *vcek.Roots
	// Find gets the chain of a report that brings none; nil if there is nobody
	// to ask. The chain need not be verified.
	Find func(*snp.Report) (*vcek.Chain, error)
}

// OfEvidence verifies a report with what belongs to it, or what there is without
// a report: a chain, an endorsement.
func OfEvidence(e artefact.Evidence, trusted Silicon, at time.Time) *Verdict {
	v := newVerdict(Evidence, at)
	v.checkChain(&e, trusted, at)
	if e.Report != nil {
		v.checkReport(e)
		v.checkData(e)
	}
	v.checkEndorsement(e)
	return v
}

// checkChain also finds the chain of a report that has none.
func (v *Verdict) checkChain(e *artefact.Evidence, trusted Silicon, at time.Time) {
	origin := "it came with the evidence"
	missing := e.Chain == nil && e.ChainErr == nil
	switch {
	case e.Report == nil && missing && (e.Endorsement != nil || e.EndorsementErr != nil):
		v.skip(certificateChain, "there is an endorsement only")
		return
	case e.Report == nil && missing:
		e.ChainErr = errNoReport
	case missing:
		origin = "found by certificate_sources"
		e.Chain, e.ChainErr = find(e.Report, trusted)
	}
	err := e.ChainErr
	if err == nil {
		err = e.Chain.VerifyCertificates(trusted.Roots, at)
	}
	detail := ""
	if err == nil {
		detail = fmt.Sprintf("of %s, %s", e.Chain.Product(), origin)
	}
	v.record(certificateChain, detail, err)
}

var (
	errNone     = errors.New("there is none")
	errNoReport = errors.New("there is neither an SEV-SNP report nor a chain")
)

func find(report *snp.Report, trusted Silicon) (*vcek.Chain, error) {
	if trusted.Find == nil {
		return nil, errNone
	}
	return trusted.Find(report)
}

func (v *Verdict) checkReport(e artefact.Evidence) {
	if e.Chain == nil {
		v.skip(chipAndTCB, "there is no chain")
		v.skip(reportSignature, "there is no chain")
	} else {
		v.record(chipAndTCB, e.Chain.TCB().String(), e.Chain.Endorses(e.Report))
		v.record(reportSignature, "by the "+e.Report.SigningKey().String(), e.Chain.VerifySignature(e.Report))
	}
	v.record(guestPolicy, e.Report.Policy().String(), checkPolicy(e.Report.Policy()))
	v.record(privilege, "VMPL 0", checkPrivilege(e.Report.VMPL()))
}

func checkPolicy(p snp.GuestPolicy) error {
	switch {
	case p.Debug():
		return errors.New("the host may debug the guest (DEBUG)")
	case p.MigrationAgent():
		return errors.New("the guest may be given to a migration agent (MIGRATE_MA)")
	}
	return nil
}

func checkPrivilege(vmpl uint32) error {
	if vmpl != 0 {
		return fmt.Errorf("VMPL %d", vmpl)
	}
	return nil
}

func (v *Verdict) checkData(e artefact.Evidence) {
	if e.RuntimeData == nil {
		v.skip(runtimeData, "none was given")
	} else {
		v.record(runtimeData, "bound", checkBound(e.Report.ReportData(), snp.Bind(e.RuntimeData)))
	}
	if e.InitTimeData == nil {
		v.skip(initTimeData, "none was given")
		return
	}
	v.record(initTimeData, "bound", checkBound(e.Report.HostData(), snp.HostData(sha256.Sum256(e.InitTimeData))))
}

func checkBound[T comparable](reported, want T) error {
	if reported != want {
		return fmt.Errorf("the report has %v, its data needs %v", reported, want)
	}
	return nil
}

func (v *Verdict) checkEndorsement(e artefact.Evidence) {
	if e.Endorsement == nil && e.EndorsementErr == nil {
		v.skip(endorsement, "there is none")
		return
	}
	if e.EndorsementErr != nil {
		v.record(endorsement, "", e.EndorsementErr)
		return
	}
	detail := "by " + e.Endorsement.Issuer()
	if !e.Endorsement.KnownIssuer() {
		detail += ", not known as a production build of Microsoft's"
	}
	v.record(endorsement, detail, nil)
	if e.Report == nil {
		v.skip(measurement, "there is no report")
		return
	}
	v.record(measurement, e.Report.Measurement().String(),
		checkBound(e.Report.Measurement(), snp.Measurement(e.Endorsement.Measurement())))
}

package verify

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/internal/operator/inspect"
)

// Silicon is what reports are verified with.
type Silicon struct {
	// Roots are the trusted ARKs.
	Roots *vcek.Roots
	// Find returns the chain of a report that comes without one; nil if there is no source.
	// The chain need not be verified.
	Find func(*snp.Report) (*vcek.Chain, error)
	// Intel is what quotes of TDX are verified with.
	Intel Platform
}

// Given is evidence with what the caller adds to it.
type Given struct {
	inspect.Evidence

	// Parts are all parts of the file.
	Parts []inspect.Part
	// GivenChain replaces the chain in the evidence.
	GivenChain *vcek.Chain
	// GivenData must be bound by the report, in addition to data that came with it; nil for
	// none.
	GivenData []byte
}

// reportPlan is the checks that each report needs.
var reportPlan = plan{contents, snpReport, certificateChain, chipAndTCB, reportSignature, guestPolicy, privilege}

// neverOfReports lists what no rule about reports looks at.
var neverOfReports = []string{
	"whether MEASUREMENT, HOST_DATA and the firmware are ones that you accept", "AMD's revocation lists",
}

// OfEvidence verifies a report or a TDX quote with what belongs to it. A chain or an endorsement
// without a report is verified as well, and the verdict fails.
func OfEvidence(g Given, trusted Silicon, at time.Time) *Verdict {
	if g.IsTDX() {
		return ofTDX(g, trusted, at)
	}
	v := newVerdict(Evidence, at, reportPlan...)
	v.checkContents(g.Parts, true, inspect.Report, inspect.HCLReport, inspect.MAARequest, inspect.Chain,
		inspect.THIM, inspect.Endorsement, inspect.CCEPolicy)
	v.checkReport(&g, trusted, at)
	v.checkData(g)
	v.checkEndorsement(g.Evidence)
	return v.finish(neverOfReports...)
}

// checkReport makes the checks of reportPlan.
func (v *Verdict) checkReport(g *Given, trusted Silicon, at time.Time) {
	if g.Report == nil {
		v.record(snpReport, "", cmp.Or(g.ReportErr, errNoReport))
	} else {
		v.record(snpReport, fmt.Sprintf("of version %d", g.Report.Version()), nil)
	}
	v.checkChain(g, trusted, at)
	if g.Report == nil {
		return
	}
	if g.Chain == nil {
		v.skip(chipAndTCB, "there is no chain")
		v.skip(reportSignature, "there is no chain")
	} else {
		v.record(chipAndTCB, g.Chain.TCB().String(), g.Chain.Endorses(g.Report))
		v.record(reportSignature, "by the "+g.Report.SigningKey().String(), g.Chain.VerifySignature(g.Report))
	}
	v.record(guestPolicy, g.Report.Policy().String(), checkPolicy(g.Report.Policy()))
	v.record(privilege, "VMPL 0", checkPrivilege(g.Report.VMPL()))
}

var (
	errNone     = errors.New("there is none")
	errNoReport = errors.New("there is no SEV-SNP report")
)

// checkChain also asks the sources for the chain of a report that comes without one.
func (v *Verdict) checkChain(g *Given, trusted Silicon, at time.Time) {
	origin := "it came with the evidence"
	switch {
	case g.GivenChain != nil:
		origin = "given with --chain"
		if g.Chain != nil && !bytes.Equal(g.Chain.PEM(), g.GivenChain.PEM()) {
			v.unjudged = append(v.unjudged, "the chain that came with the evidence (--chain takes its place)")
		}
		g.Chain, g.ChainErr = g.GivenChain, nil
	case g.Chain == nil && g.ChainErr == nil && g.Report != nil:
		origin = "found by certificate_sources"
		g.Chain, g.ChainErr = find(g.Report, trusted)
	case g.Chain == nil && g.ChainErr == nil:
		v.skip(certificateChain, errNone.Error())
		return
	}
	err := g.ChainErr
	if err == nil {
		err = g.Chain.VerifyCertificates(trusted.Roots, at)
	}
	detail := ""
	if err == nil {
		detail = fmt.Sprintf("of %s, %s", g.Chain.Product(), origin)
		if completed := g.Chain.Completed(); completed != "" {
			detail += ", completed with " + completed
		}
	}
	v.record(certificateChain, detail, err)
}

func find(report *snp.Report, trusted Silicon) (*vcek.Chain, error) {
	if trusted.Find == nil {
		return nil, errNone
	}
	return trusted.Find(report)
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

// checkData compares the report with the data that came with it and the data of the caller.
// On a confidential VM the report binds the paravisor's claims, and these contain user data.
func (v *Verdict) checkData(g Given) {
	if g.GivenData != nil || g.RuntimeData != nil {
		v.require(runtimeData)
	}
	switch {
	case g.GivenData == nil && g.RuntimeData == nil:
		v.skip(runtimeData, "none was given")
	case g.Report == nil:
		v.skip(runtimeData, errNoReport.Error())
	default:
		v.record(runtimeData, "bound", checkRuntimeData(g.Report.ReportData(), g))
	}
	switch {
	case g.InitTimeData == nil:
		v.skip(initTimeData, "none was given")
	case g.Report == nil:
		v.require(initTimeData)
		v.skip(initTimeData, errNoReport.Error())
	default:
		v.record(initTimeData, "bound", checkBound(g.Report.HostData(), snp.HostData(sha256.Sum256(g.InitTimeData))))
	}
}

// checkRuntimeData compares the data with reported, REPORT_DATA of a report or quote.
func checkRuntimeData(reported snp.ReportData, g Given) error {
	if g.RuntimeData != nil {
		if err := checkBound(reported, snp.Bind(g.RuntimeData)); err != nil {
			return err
		}
	}
	switch {
	case g.GivenData == nil, g.RuntimeData != nil && bytes.Equal(g.GivenData, g.RuntimeData):
		return nil
	case g.UserData == nil:
		return checkBound(reported, snp.Bind(g.GivenData))
	case snp.ReportData(g.UserData) != snp.Bind(g.GivenData):
		return fmt.Errorf("the claims have the user data %x, the data needs %v", g.UserData, snp.Bind(g.GivenData))
	}
	return nil
}

func checkBound[T comparable](reported, want T) error {
	if reported != want {
		return fmt.Errorf("the report has %v, its data needs %v", reported, want)
	}
	return nil
}

func (v *Verdict) checkEndorsement(e inspect.Evidence) {
	if e.Endorsement == nil && e.EndorsementErr == nil {
		v.skip(endorsement, errNone.Error())
		return
	}
	v.require(endorsement, measurement)
	if e.EndorsementErr != nil {
		v.record(endorsement, "", e.EndorsementErr)
		v.skip(measurement, "there is no endorsement that can be used")
		return
	}
	detail := "by " + e.Endorsement.Issuer()
	if !e.Endorsement.KnownIssuer() {
		detail += ", not known as a production build of Microsoft's"
	}
	v.record(endorsement, detail, nil)
	if e.Report == nil {
		v.skip(measurement, errNoReport.Error())
		return
	}
	v.record(measurement, e.Report.Measurement().String(),
		checkBound(e.Report.Measurement(), snp.Measurement(e.Endorsement.Measurement())))
}

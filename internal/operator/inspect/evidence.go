package inspect

import (
	"cmp"
	"crypto/x509"
	"slices"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/uvm"
	"skr/attest/vcek"
)

// Evidence is the evidence of an attestation in an artefact. Parts that it does not hold are
// nil. An Err is the reason why a part cannot be used. Only the Endorsement has been
// verified, which happens when it is parsed.
type Evidence struct {
	Report         *snp.Report
	ReportErr      error
	Chain          *vcek.Chain
	ChainErr       error
	RuntimeData    []byte // claims to be bound through REPORT_DATA
	UserData       []byte // 64 bytes of RuntimeData that are bound through it, on a confidential VM
	InitTimeData   []byte // claims to be bound through HOST_DATA
	Endorsement    *uvm.Endorsement
	EndorsementErr error

	// Evidence of TDX in place of Report and Chain.
	TDQuote       *tdx.Quote
	TDQuoteErr    error
	TDReport      *tdx.Report
	TDReportErr   error
	Collateral    *tdx.Collateral
	CollateralErr error
}

// IsTDX reports whether this is evidence of a TDX machine, and not of SEV-SNP.
func (e Evidence) IsTDX() bool {
	return e.Report == nil && e.ReportErr == nil && e.hasTDX()
}

func (e Evidence) hasTDX() bool {
	return e.TDQuote != nil || e.TDQuoteErr != nil || e.TDReport != nil || e.TDReportErr != nil || e.Collateral != nil || e.CollateralErr != nil
}

// evident is content that holds some of it.
type evident interface{ evidence() Evidence }

var (
	_ evident = report{}
	_ evident = hclReport{}
	_ evident = (*request)(nil)
	_ evident = chain{}
	_ evident = endorsement{}
	_ evident = bundle(nil)
	_ evident = tdxQuote{}
	_ evident = tdReport{}
	_ evident = collateral{}
	_ evident = crl{}
)

// Evidence returns the evidence of an attestation in the artefact, and false if there is none.
func (a Artefact) Evidence() (Evidence, bool) {
	var found Evidence
	if e, ok := a.content.(evident); ok {
		found = e.evidence()
	}
	if len(a.beside) > 0 {
		found.fill(a.beside.evidence())
	}
	return found, !found.empty()
}

func (e Evidence) empty() bool {
	return e.Report == nil && e.ReportErr == nil && e.Chain == nil && e.ChainErr == nil && e.RuntimeData == nil &&
		e.Endorsement == nil && e.EndorsementErr == nil && !e.hasTDX()
}

func (r report) evidence() Evidence { return Evidence{Report: r.Report} }

func (b bundle) evidence() Evidence {
	var all Evidence
	for _, p := range b {
		all.fill(p.evidence())
	}
	all.addSigner(b.boot().Issuers)
	return all
}

// addSigner adds the certificate that signed collateral and came in another file.
func (e *Evidence) addSigner(certificates []*x509.Certificate) {
	if e.Collateral == nil {
		return
	}
	own := *e.Collateral
	if own.TCBInfo != nil {
		own.TCBInfo = own.TCBInfo.WithIssuers(certificates...)
	}
	if own.QEIdentity != nil {
		own.QEIdentity = own.QEIdentity.WithIssuers(certificates...)
	}
	e.Collateral = &own
}

// evidence returns what the part holds, or the error in the place of the part that it
// should be.
func (p part) evidence() Evidence {
	var e Evidence
	switch {
	case p.err == nil:
		e, _ = p.found.Evidence()
	case p.data == nil:
		e.fail(p.as, p.inner(p.err))
	}
	switch p.binds {
	case reportData:
		e.RuntimeData = p.data
	case hostData:
		e.InitTimeData = p.data
	}
	if policy, is := p.found.content.(ccePolicy); is && p.err == nil {
		e.InitTimeData = policy
	}
	return e
}

// fail notes why a part of that kind cannot be read.
func (e *Evidence) fail(kind Kind, err error) {
	switch {
	case kind == Report || kind == HCLReport:
		e.ReportErr = err
	case kind == Chain || kind == THIM:
		e.ChainErr = err
	case kind == Endorsement:
		e.EndorsementErr = err
	case kind == TDXQuote:
		e.TDQuoteErr = err
	case kind == TDXReport:
		e.TDReportErr = err
	case slices.Contains(collateralKinds, kind):
		e.CollateralErr = err
	}
}

// fill adds what is still missing from other.
func (e *Evidence) fill(other Evidence) {
	e.Report, e.ReportErr = first(e.Report, other.Report, e.ReportErr, other.ReportErr)
	e.Chain, e.ChainErr = first(e.Chain, other.Chain, e.ChainErr, other.ChainErr)
	e.Endorsement, e.EndorsementErr = first(e.Endorsement, other.Endorsement, e.EndorsementErr, other.EndorsementErr)
	e.TDQuote, e.TDQuoteErr = first(e.TDQuote, other.TDQuote, e.TDQuoteErr, other.TDQuoteErr)
	e.TDReport, e.TDReportErr = first(e.TDReport, other.TDReport, e.TDReportErr, other.TDReportErr)
	e.fillCollateral(other)
	if e.RuntimeData == nil {
		e.RuntimeData, e.UserData = other.RuntimeData, other.UserData
	}
	if e.InitTimeData == nil {
		e.InitTimeData = other.InitTimeData
	}
}

// collateralKinds are those of collateral and its parts.
var collateralKinds = []Kind{TDXCollateral, TCBInfo, QEIdentity, CRL}

// fillCollateral joins the parts of collateral. An error remains: a list that cannot be read may
// hold the certificate.
func (e *Evidence) fillCollateral(other Evidence) {
	e.CollateralErr = cmp.Or(e.CollateralErr, other.CollateralErr)
	switch {
	case other.Collateral == nil:
	case e.Collateral == nil:
		e.Collateral = other.Collateral
	default:
		e.Collateral = &tdx.Collateral{
			TCBInfo: cmp.Or(e.Collateral.TCBInfo, other.Collateral.TCBInfo), QEIdentity: cmp.Or(e.Collateral.QEIdentity, other.Collateral.QEIdentity),
			PCKCRL: cmp.Or(e.Collateral.PCKCRL, other.Collateral.PCKCRL), RootCRL: cmp.Or(e.Collateral.RootCRL, other.Collateral.RootCRL),
		}
	}
}

// first prefers a part that can be read. Artefact.Parts reports the other one.
func first[T any](one, other *T, oneErr, otherErr error) (*T, error) {
	if found := cmp.Or(one, other); found != nil {
		return found, nil
	}
	return nil, cmp.Or(oneErr, otherErr)
}

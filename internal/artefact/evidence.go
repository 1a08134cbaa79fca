package artefact

import (
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
)

// Evidence is what of an attestation an artefact holds; what it does not hold is
// nil. An Err says why a part that is there cannot be used. Nothing but the
// Endorsement, which verifies itself, has been verified.
type Evidence struct {
	Report         *snp.Report
	Chain          *vcek.Chain
	ChainErr       error
	RuntimeData    []byte // claims to be bound through REPORT_DATA
	InitTimeData   []byte // claims to be bound through HOST_DATA
	Endorsement    *uvm.Endorsement
	EndorsementErr error
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
)

// Evidence is what the artefact holds of an attestation; false if that is nothing.
func (a Artefact) Evidence() (Evidence, bool) {
	e, ok := a.content.(evident)
	if !ok {
		return Evidence{}, false
	}
	found := e.evidence()
	return found, !found.empty()
}

func (e Evidence) empty() bool {
	return e.Report == nil && e.Chain == nil && e.ChainErr == nil && e.RuntimeData == nil &&
		e.Endorsement == nil && e.EndorsementErr == nil
}

func (r report) evidence() Evidence { return Evidence{Report: r.Report} }

// fill takes from other what is still missing.
func (e *Evidence) fill(other Evidence) {
	if e.Report == nil {
		e.Report = other.Report
	}
	if e.Chain == nil && e.ChainErr == nil {
		e.Chain, e.ChainErr = other.Chain, other.ChainErr
	}
	if e.RuntimeData == nil {
		e.RuntimeData = other.RuntimeData
	}
	if e.InitTimeData == nil {
		e.InitTimeData = other.InitTimeData
	}
	if e.Endorsement == nil && e.EndorsementErr == nil {
		e.Endorsement, e.EndorsementErr = other.Endorsement, other.EndorsementErr
	}
}

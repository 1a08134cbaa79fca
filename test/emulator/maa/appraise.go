package maa

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"

	"skr/attest/snp"
	"skr/attest/uvm"
)

// attest serves POST /attest/SevSnpVm: parse, verify, apply the policy, sign.
func (i *Instance) attest(r *http.Request) (any, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	submitted, err := parseRequest(r)
	if err != nil {
		return nil, err
	}
	verified, err := i.verify(submitted)
	if err != nil {
		return nil, err
	}
	if err := i.policies.of("sevsnpvm").authorize(); err != nil {
		return nil, err
	}
	token, err := i.issue(i.claims(verified), i.forgery())
	if err != nil {
		return nil, fmt.Errorf("maa: issuing a token: %w", err)
	}
	return map[string]string{"token": token}, nil
}

// evidence is a verified submission.
type evidence struct {
	*submission
	compliance  string // x-ms-compliance-status; "" if the measurement is not endorsed
	endorsement *uvm.Endorsement
}

// verify checks in the service's known order.
func (i *Instance) verify(s *submission) (*evidence, error) {
	if err := i.verifyReport(s); err != nil {
		return nil, err
	}
	if err := s.verifyRuntimeData(); err != nil {
		return nil, err
	}
	if err := s.verifyInitTimeData(); err != nil {
		return nil, err
	}
	e := &evidence{submission: s}
	if err := i.appraiseMeasurement(e); err != nil {
		return nil, err
	}
	return e, nil
}

// verifyReport checks the chain to a root, that the leaf matches the report's
// chip and REPORTED_TCB, and the report's signature.
func (i *Instance) verifyReport(s *submission) error {
	var err error
	for _, roots := range i.config.Roots {
		if err = s.chain.Verify(s.report, roots, i.config.Now()); err == nil {
			return nil
		}
	}
	if err == nil {
		return invalid("The emulator has no AMD roots.")
	}
	return invalid("The SNP report cannot be verified: %v", err)
}

// verifyRuntimeData checks that REPORT_DATA is the SHA-256 of the exact bytes,
// then 32 zero bytes. UNCONFIRMED: that the service requires the zeros.
func (s *submission) verifyRuntimeData() error {
	if s.runtime.raw == nil {
		return nil
	}
	if s.report.ReportData() != reportDataOf(s.runtime.raw) {
		return invalid("The SHA-256 of the runtimeData does not match the REPORT_DATA of the SNP report.")
	}
	return nil
}

func reportDataOf(data []byte) (d snp.ReportData) {
	sum := sha256.Sum256(data)
	copy(d[:], sum[:])
	return d
}

func (s *submission) verifyInitTimeData() error {
	if s.initTime.raw == nil {
		return nil
	}
	if s.report.HostData() != snp.HostData(sha256.Sum256(s.initTime.raw)) {
		return invalid("The SHA-256 of the initTimeData does not match the HOST_DATA of the SNP report.")
	}
	return nil
}

// appraiseMeasurement looks for an endorsement of the launch measurement. A bad
// endorsement is an error; a missing one only means no compliance status.
func (i *Instance) appraiseMeasurement(e *evidence) error {
	for _, cose := range e.endorsements {
		if err := i.appraiseEndorsement(e, cose); err != nil {
			return err
		}
	}
	if e.compliance == "" && i.config.CompliantVM != nil && i.config.CompliantVM(e.report.Measurement()) {
		e.compliance = compliantVM
	}
	return nil
}

func (i *Instance) appraiseEndorsement(e *evidence, cose []byte) error {
	endorsement, err := uvm.ParseEndorsement(cose)
	if err != nil {
		return invalid("The UVM endorsement cannot be verified: %v", err)
	}
	if !endorsement.KnownIssuer() && (i.config.Endorses == nil || !i.config.Endorses(endorsement)) {
		return invalid("The UVM endorsement's issuer is not accepted.")
	}
	measured, endorsed := e.report.Measurement(), endorsement.Measurement()
	if !bytes.Equal(measured[:], endorsed[:]) {
		return invalid("The UVM endorsement is not for the launch measurement of the SNP report.")
	}
	status, known := compliantFeeds[endorsement.Feed()]
	if !known {
		return invalid("The UVM endorsement's feed %q is not known.", endorsement.Feed())
	}
	e.compliance, e.endorsement = status, endorsement
	return nil
}

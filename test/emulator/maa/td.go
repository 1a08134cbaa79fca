package maa

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"skr/attest/tdx"
)

// TDX configures what an instance needs for the evidence of Intel TDX.
type TDX struct {
	// Roots are the accepted Intel roots: Intel's own and emulated silicon's.
	Roots []*tdx.Roots
	// Collateral returns what Intel publishes about a quote's platform, or nil if nothing is known.
	// A nil function knows nothing.
	Collateral func(*tdx.Quote) (*tdx.Collateral, error)
	// Compliant reports whether MRTD is on the list of Azure's confidential virtual machines. Nil
	// means an empty list.
	Compliant func(tdx.Measurement) bool
}

// wireTDRequest is the wire form: Azure REST API specification, attestation,
// AttestTdxVmRequest of 2025-06-01.
type wireTDRequest struct {
	Quote        string          `json:"quote"`
	RuntimeData  *wireData       `json:"runtimeData"`
	InitTimeData *wireData       `json:"initTimeData"`
	DraftPolicy  string          `json:"draftPolicyForAttestation"`
	Nonce        json.RawMessage `json:"nonce"`
}

// tdSubmission is a well-formed, unverified quote with its data.
type tdSubmission struct {
	quote   *tdx.Quote
	runtime boundData
	nonce   string // "" if none was sent
}

// tdEvidence is a verified submission.
type tdEvidence struct {
	*tdSubmission
	status     tdx.Status // "" without collateral
	compliance string     // x-ms-compliance-status; "" if MRTD is not endorsed
}

// attestTD serves POST /attest/TdxVm: parse, verify, apply the policy, sign.
func (i *Instance) attestTD(r *http.Request) (any, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	submitted, err := parseTDRequest(r)
	if err != nil {
		return nil, err
	}
	verified, err := i.verifyTD(submitted)
	if err != nil {
		return nil, err
	}
	if err := i.policies.of("tdxvm").authorize(); err != nil {
		return nil, err
	}
	claims := i.standardClaims("tdxvm")
	verified.addClaims(i, claims)
	if verified.nonce != "" {
		claims["nonce"] = verified.nonce
	}
	token, err := i.issue(claims, i.forgery())
	if err != nil {
		return nil, fmt.Errorf("maa: issuing a token: %w", err)
	}
	return map[string]string{"token": token}, nil
}

func parseTDRequest(r *http.Request) (*tdSubmission, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	var wire wireTDRequest
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, invalid("The body is not a JSON object of the right form: %v", err)
	}
	switch {
	case wire.DraftPolicy != "":
		return nil, invalid("The emulator does not support draftPolicyForAttestation.")
	case wire.InitTimeData != nil && wire.InitTimeData.Data != "":
		return nil, invalid("The emulator does not support initTimeData of TDX.")
	}
	s := new(tdSubmission)
	if err := s.parseQuote("quote", wire.Quote, decode); err != nil {
		return nil, err
	}
	if s.runtime, err = parseData("runtimeData", wire.RuntimeData); err != nil {
		return nil, err
	}
	s.nonce, err = parseNonce(wire.Nonce)
	return s, err
}

func (s *tdSubmission) parseQuote(name, text string, decode func(name, text string) ([]byte, error)) error {
	raw, err := decode(name, text)
	if err != nil {
		return err
	}
	if s.quote, err = tdx.ParseQuote(raw); err != nil {
		return invalid("The %s is malformed: %v", name, err)
	}
	return nil
}

// verifyTD checks the quote's chain of trust, the bound data and, if there is collateral, revocation
// and the TCB level. A TD under debug is a claim and no error, as with SEV-SNP.
func (i *Instance) verifyTD(s *tdSubmission) (*tdEvidence, error) {
	roots, err := i.verifyPCK(s.quote)
	if err != nil {
		return nil, invalid("The TDX quote cannot be verified: %v", err)
	}
	for _, step := range []func() error{s.quote.VerifyQE, s.quote.VerifySignature} {
		if err := step(); err != nil {
			return nil, invalid("The TDX quote cannot be verified: %v", err)
		}
	}
	if s.runtime.raw != nil && s.quote.CheckReportData(tdx.Bind(s.runtime.raw)) != nil {
		return nil, invalid("The SHA-256 of the runtimeData does not match the REPORTDATA of the TDX quote.")
	}
	e := &tdEvidence{tdSubmission: s}
	if e.status, err = i.tcbStatus(s.quote, roots); err != nil {
		return nil, invalid("The TDX platform is not accepted: %v", err)
	}
	if i.config.TDX.Compliant != nil && i.config.TDX.Compliant(s.quote.MRTD()) {
		e.compliance = compliantVM
	}
	return e, nil
}

// verifyPCK returns the roots to which the PCK certificate leads.
func (i *Instance) verifyPCK(quote *tdx.Quote) (roots *tdx.Roots, err error) {
	err = errors.New("the emulator has no Intel roots")
	for _, roots = range i.config.TDX.Roots {
		if err = quote.VerifyCertificates(roots, i.config.Now()); err == nil {
			return roots, nil
		}
	}
	return nil, err
}

// tcbStatus returns the status of the platform, or "" if there is no collateral.
// UNCONFIRMED: which collateral the service uses, and which statuses it refuses. Here it
// refuses what is revoked.
func (i *Instance) tcbStatus(quote *tdx.Quote, roots *tdx.Roots) (tdx.Status, error) {
	if i.config.TDX.Collateral == nil {
		return "", nil
	}
	collateral, err := i.config.TDX.Collateral(quote)
	if err != nil || collateral == nil {
		return "", err
	}
	for _, step := range []func() error{
		func() error { return collateral.Authenticate(quote, roots) },
		func() error { return collateral.CheckRevoked(quote) },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	level, err := collateral.Level(quote)
	if err == nil {
		err = tdx.Policy{}.Check(level)
	}
	return level.Status, err
}

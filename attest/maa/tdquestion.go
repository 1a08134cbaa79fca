package maa

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"

	"skr/attest"
	"skr/attest/tdx"
	"skr/internal/refusal"
	"skr/internal/strictjson"
)

// claimTDReportData is REPORTDATA in a TDX token ("Azure Attestation claim sets", TDX).
const claimTDReportData = "tdx_report_data"

const tdType = "tdxvm"

// tdQuestion is the exchange about a TDX quote without a virtual TPM.
type tdQuestion struct {
	evidence   *attest.Evidence
	nonce      string
	runtime    runtime
	reportData tdx.ReportData
}

var _ exchange = (*tdQuestion)(nil)

func newTDQuestion(e *attest.Evidence) (*tdQuestion, error) {
	runtime, err := parseRuntime(e.RuntimeData)
	if err != nil {
		return nil, refusal.Because(refusal.BadRequest, badRuntime, err)
	}
	return &tdQuestion{e, rand.Text(), runtime, e.TDQuote.ReportData()}, nil
}

// tdRequest is AttestTdxVmRequest of the Azure REST API specification (attestation/data-plane,
// models.tsp). The data are base64url without padding, as Azure's own tools send them.
type tdRequest struct {
	Quote       string `json:"quote"`
	RuntimeData data   `json:"runtimeData"`
	Nonce       string `json:"nonce"`
}

func (q *tdQuestion) request(version string) (string, []byte, error) {
	body, err := json.Marshal(tdRequest{
		Quote:       unpadded.EncodeToString(q.evidence.TDQuote.Raw()),
		RuntimeData: data{unpadded.EncodeToString(q.evidence.RuntimeData), typeJSON},
		Nonce:       q.nonce,
	})
	if err != nil {
		return "", nil, fmt.Errorf("encoding the request: %w", err)
	}
	return "/attest/TdxVm?" + url.Values{"api-version": {max(version, tdAPIVersion)}}.Encode(), body, nil
}

// open returns the answer, which is the token.
func (q *tdQuestion) open(_ context.Context, authority attest.Authority, answer string) (string, error) {
	return asIs(authority, answer)
}

// check refuses a token for another request, another machine or another key.
func (q *tdQuestion) check(authority attest.Authority, claims strictjson.Object) error {
	nonce, _ := claims.Text(claimNonce)
	switch {
	case nonce != q.nonce:
		return untrusted(authority, "its token does not carry our nonce", nil)
	case contradicts(claims, claimAttestationType, tdType):
		return untrusted(authority, "its token is not about a TDX machine", nil)
	case !q.runtime.in(claims, claimTDReportData, q.reportData.String()):
		return untrusted(authority, "its token does not carry our runtime data", nil)
	case contradictsTD(claims, "", q.evidence.TDQuote):
		return untrusted(authority, "its token is about another quote", nil)
	default:
		return nil
	}
}

// contradictsTD reports whether a claim below prefix is about another quote.
func contradictsTD(claims strictjson.Object, prefix string, q *tdx.Quote) bool {
	for claim, want := range map[string]string{
		claimTDReportData: q.ReportData().String(), "tdx_mrtd": q.MRTD().String(), "tdx_mrseam": q.MRSEAM().String(),
	} {
		if contradicts(claims, prefix+claim, want) {
			return true
		}
	}
	return false
}

package server

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"

	"skr/api"
	"skr/attest"
	"skr/attest/vtpm"
)

// RawResponse returns the wire form of evidence with a report or a TDX quote.
func RawResponse(evidence *attest.Evidence) api.RawResponse {
	answer := api.RawResponse{TDQuote: tdQuote(evidence), HCLReport: hclReport(evidence.Guest)}
	if evidence.Report != nil {
		answer.Report = hex.EncodeToString(evidence.Report.Raw())
	}
	return answer
}

func tdQuote(evidence *attest.Evidence) string {
	if evidence.TDQuote == nil {
		return ""
	}
	return text64(evidence.TDQuote.Raw())
}

// CombinedResponse returns the wire form of evidence. uvmEndorsements is the base64 text of
// the platform's endorsement.
func CombinedResponse(evidence *attest.Evidence, uvmEndorsements string) api.CombinedResponse {
	answer := api.CombinedResponse{TDQuote: tdQuote(evidence), VirtualTPM: virtualTPM(evidence.Guest), Problems: problems(evidence.Omitted)}
	if evidence.TDQuote == nil && !slices.ContainsFunc(evidence.Omitted, func(o attest.Omission) bool { return o.Part == attest.UVMEndorsement }) {
		answer.UVMEndorsements = uvmEndorsements
	}
	if evidence.Report != nil {
		answer.EndorsedTCB = evidence.Chain.TCBM()
		answer.Endorsements = text64(evidence.Chain.PEM())
		answer.Evidence = text64(evidence.Report.Raw())
	}
	return answer
}

// TokenResponse returns the wire form of a result.
func TokenResponse(result *attest.Result) api.MAAResponse {
	return api.MAAResponse{Token: api.Secret(result.Token.Reveal()), Problems: problems(result.Omitted)}
}

func problems(omitted []attest.Omission) (list []api.Problem) {
	for _, o := range omitted {
		list = append(list, api.Problem{Part: o.Part, Problem: o.String()})
	}
	return list
}

func virtualTPM(g *attest.Guest) *api.VirtualTPM {
	if g == nil {
		return nil
	}
	return &api.VirtualTPM{
		HCLReport: hclReport(g), AKPublic: text64(g.AK), AKCertificate: text64(g.Certificate),
		Quote:    api.Quote{Message: text64(g.Quote.Info), Signature: text64(g.Quote.Signature), PCRs: pcrs(g.PCRs)},
		EventLog: text64(g.Log),
	}
}

func hclReport(g *attest.Guest) string {
	if g == nil || g.HCL == nil {
		return ""
	}
	return text64(g.HCL.Raw())
}

func pcrs(values vtpm.PCRs) map[string]string {
	texts := make(map[string]string, len(values))
	for pcr, value := range values {
		texts[strconv.Itoa(pcr)] = text64(value[:])
	}
	return texts
}

func text64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

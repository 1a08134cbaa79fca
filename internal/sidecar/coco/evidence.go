package coco

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"

	"skr/attest"
)

// The names of the hardware, as verifiers of Confidential Containers know it.
const (
	SNP      = "snp"
	TDX      = "tdx"
	AzureSNP = "az-snp-vtpm"
	AzureTDX = "az-tdx-vtpm"
)

// TEE returns the name of the platform, or "" if its evidence has no form here.
func TEE(platform attest.Platform) string {
	switch platform {
	case attest.Direct:
		return SNP
	case attest.DirectTDX:
		return TDX
	case attest.ConfidentialVM:
		return AzureSNP
	case attest.ConfidentialTDX:
		return AzureTDX
	default:
		return ""
	}
}

// Evidence returns the JSON of evidence that binds its data verbatim: of az-snp-vtpm or
// az-tdx-vtpm, version 2, if there is a virtual TPM, and otherwise of snp or tdx
// (guest-components, attestation-agent/attester: az_snp_vtpm/mod.rs, az_tdx_vtpm/mod.rs,
// snp/mod.rs, tdx/mod.rs).
func Evidence(e *attest.Evidence) ([]byte, error) {
	switch {
	case e.TDQuote == nil && (e.Report == nil || e.Chain == nil):
		return nil, errors.New("there is no report with its certificates")
	case e.Guest != nil:
		return vtpmEvidence(e)
	case e.TDQuote != nil:
		return json.Marshal(tdxEvidence{base64.StdEncoding.EncodeToString(e.TDQuote.Raw())})
	}
	return json.Marshal(snpEvidence(e))
}

// tdxEvidence has no event log, which this program does not read.
type tdxEvidence struct {
	Quote string `json:"quote"`
}

type azureEvidence struct {
	Version   int      `json:"version"`
	TPMQuote  tpmQuote `json:"tpm_quote"`
	HCLReport string   `json:"hcl_report"`
	VCEK      string   `json:"vcek,omitempty"`
	TDQuote   string   `json:"td_quote,omitempty"`
}

type tpmQuote struct {
	Signature string   `json:"signature"`
	Message   string   `json:"message"`
	PCRs      []string `json:"pcrs"`
}

// registers is how many PCRs the evidence has.
const registers = 24

func vtpmEvidence(e *attest.Evidence) ([]byte, error) {
	quote := tpmQuote{Signature: hex.EncodeToString(e.Guest.Quote.Signature), Message: hex.EncodeToString(e.Guest.Quote.Info)}
	for index := range registers {
		value, found := e.Guest.PCRs[index]
		if !found {
			return nil, errors.New("the quote lacks PCR " + strconv.Itoa(index))
		}
		quote.PCRs = append(quote.PCRs, hex.EncodeToString(value[:]))
	}
	if e.Guest.HCL == nil {
		return nil, errors.New("there is no report of the paravisor")
	}
	evidence := azureEvidence{Version: 2, TPMQuote: quote, HCLReport: base64.URLEncoding.EncodeToString(e.Guest.HCL.Raw())}
	if e.TDQuote != nil {
		evidence.TDQuote = base64.URLEncoding.EncodeToString(e.TDQuote.Raw())
	} else {
		evidence.VCEK = base64.URLEncoding.EncodeToString(e.Chain.Certificates()[0].Raw)
	}
	return json.Marshal(evidence)
}

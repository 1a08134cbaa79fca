package coco

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"skr/attest"
)

// The names of the hardware, as verifiers of Confidential Containers know it.
const (
	SNP     = "snp"
	AzureVM = "az-snp-vtpm"
)

// TEE returns the name of the platform, or "" if its evidence has no form here.
func TEE(platform attest.Platform) string {
	switch platform {
	case attest.Direct:
		return SNP
	case attest.ConfidentialVM:
		return AzureVM
	default:
		return ""
	}
}

// Evidence returns the JSON of evidence that binds its data verbatim: of az-snp-vtpm, version
// 2, if there is a virtual TPM, and otherwise of snp (guest-components,
// attestation-agent/attester: az_snp_vtpm/mod.rs, snp/mod.rs).
func Evidence(e *attest.Evidence) ([]byte, error) {
	if e.Report == nil || e.Chain == nil {
		return nil, errors.New("there is no report with its certificates")
	}
	if e.Guest == nil {
		return json.Marshal(snpEvidence(e))
	}
	return vtpmEvidence(e)
}

type azureEvidence struct {
	Version   int      `json:"version"`
	TPMQuote  tpmQuote `json:"tpm_quote"`
	HCLReport string   `json:"hcl_report"`
	VCEK      string   `json:"vcek"`
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
	return json.Marshal(azureEvidence{
		Version: 2, TPMQuote: quote, HCLReport: base64.URLEncoding.EncodeToString(e.Guest.HCL.Raw()),
		VCEK: base64.URLEncoding.EncodeToString(slices.Clone(e.Chain.Certificates()[0].Raw)),
	})
}

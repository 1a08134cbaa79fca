package maa

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"skr/attest"
)

// request is AttestSevSnpVmRequest of the Azure REST API specification
// (attestation/data-plane, models.tsp). Members and encodings follow Azure's own container
// sidecar, which is known to work: padded base64url throughout, an empty initTimeData, and
// the nonce as a number, although the specification calls it a string.
type request struct {
	Report       string `json:"report"` // base64url of evidence
	RuntimeData  data   `json:"runtimeData"`
	InitTimeData data   `json:"initTimeData"`
	Nonce        uint64 `json:"nonce"`
}

type data struct {
	Data     string `json:"data"`
	DataType string `json:"dataType"`
}

// evidence is the JSON inside report. Its members contain base64url.
type evidence struct {
	SnpReport     string // the 1184 bytes of the hardware
	VcekCertChain string // PEM of VCEK, ASK and ARK
	Endorsements  string `json:",omitempty"` // endorsements as JSON
}

// endorsements contains the base64url of each COSE_Sign1 for the utility VM.
type endorsements struct{ Uvm []string }

// typeJSON makes MAA expand the runtime data into the claim x-ms-runtime, where Key Vault
// looks for the key to wrap to.
const typeJSON = "JSON"

var (
	encoding = base64.URLEncoding
	unpadded = base64.RawURLEncoding
)

func encodeRequest(e *attest.Evidence, nonce uint64) ([]byte, error) {
	inner := evidence{
		SnpReport:     encoding.EncodeToString(e.Report.Raw()),
		VcekCertChain: encoding.EncodeToString(e.Chain.PEM()),
	}
	if e.Endorsement != nil {
		list, err := json.Marshal(endorsements{[]string{encoding.EncodeToString(e.Endorsement.Raw())}})
		if err != nil {
			return nil, fmt.Errorf("encoding the endorsements: %w", err)
		}
		inner.Endorsements = encoding.EncodeToString(list)
	}
	report, err := json.Marshal(inner)
	if err != nil {
		return nil, fmt.Errorf("encoding the evidence: %w", err)
	}
	body, err := json.Marshal(request{
		Report:      encoding.EncodeToString(report),
		RuntimeData: data{encoding.EncodeToString(e.RuntimeData), typeJSON},
		Nonce:       nonce,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return body, nil
}

package conformance

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"skr/attest/snp"
	"skr/internal/operator/inspect"
)

// machine is a machine that can attest, by evidence that it has made.
type machine struct {
	kind     string // of evidence
	evidence inspect.Evidence
	runtime  []byte
	wraps    bool // the runtime data has a key to which a vault can wrap
	token    string
	claims   map[string]any
}

func newMachine(c Config) *machine {
	if c.Evidence == nil || c.Evidence.Report == nil {
		return nil
	}
	m := &machine{kind: "SEV-SNP", evidence: *c.Evidence, runtime: c.RuntimeData}
	if m.runtime == nil {
		m.runtime = c.Evidence.RuntimeData
	}
	var data struct {
		Keys []struct {
			Kty    string   `json:"kty"`
			Use    string   `json:"use"`
			KeyOps []string `json:"key_ops"`
		} `json:"keys"`
	}
	_ = json.Unmarshal(m.runtime, &data) // other data has no keys
	for _, k := range data.Keys {
		m.wraps = m.wraps || k.Kty == "RSA" && (k.Use == "enc" || slices.Contains(k.KeyOps, "encrypt"))
	}
	return m
}

// CheckEvidence returns an error for evidence that no run can use: it needs a report of SEV-SNP with its
// certificates, and runtime data, given here or part of the evidence, must be bound by the report.
func CheckEvidence(e *inspect.Evidence, runtimeData []byte) error {
	switch {
	case e.Report == nil:
		return errors.New("the evidence has no SEV-SNP report")
	case e.Chain == nil:
		return errors.New("the evidence has no certificates of its report; use the output of `skr attest combined`")
	}
	if runtimeData == nil {
		runtimeData = e.RuntimeData
	}
	if runtimeData != nil && snp.Bind(runtimeData) != e.Report.ReportData() {
		return errors.New("the report does not bind the runtime data: its SHA-256 is not REPORT_DATA")
	}
	return nil
}

// request returns the body of POST /attest/SevSnpVm. A change is applied to the report.
func (m *machine) request(encoding *base64.Encoding, nonce any, change func(report []byte)) map[string]any {
	report := slices.Clone(m.evidence.Report.Raw())
	if change != nil {
		change(report)
	}
	inner := map[string]string{"SnpReport": encoding.EncodeToString(report)}
	if m.evidence.Chain != nil {
		inner["VcekCertChain"] = encoding.EncodeToString(m.evidence.Chain.PEM())
	}
	if m.evidence.Endorsement != nil {
		list, _ := json.Marshal(map[string][]string{"Uvm": {encoding.EncodeToString(m.evidence.Endorsement.Raw())}})
		inner["Endorsements"] = encoding.EncodeToString(list)
	}
	text, _ := json.Marshal(inner) // strings only
	body := map[string]any{"report": encoding.EncodeToString(text)}
	if m.runtime != nil {
		body["runtimeData"] = map[string]string{"data": encoding.EncodeToString(m.runtime), "dataType": "JSON"}
	}
	if nonce != nil {
		body["nonce"] = nonce
	}
	return body
}

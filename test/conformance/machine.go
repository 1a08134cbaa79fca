package conformance

import (
	"encoding/base64"
	"encoding/json"
	"slices"

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
	m := &machine{kind: "SEV-SNP", evidence: *c.Evidence, runtime: c.Evidence.RuntimeData}
	if c.RuntimeData != nil {
		m.runtime = c.RuntimeData
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

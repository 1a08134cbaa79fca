package conformance

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/internal/operator/inspect"
)

// machine is a machine that can attest, by evidence that it has made.
type machine struct {
	hardware
	evidence inspect.Evidence
	runtime  []byte
	wraps    bool // the runtime data has a key to which a vault can wrap
	token    string
	claims   map[string]any
}

// hardware is what differs between the two kinds of evidence.
type hardware struct {
	kind      string // for the report
	path, api string // of the request
	shape     string // claims that every token has, with their types
	attested  string // x-ms-attestation-type
	signature int    // places in the signed data whose bits can be flipped
	measured  int    // likewise, in a measurement
	unique    string // the claim by which release policies of the suite name the machine
}

var (
	sevSNP = hardware{
		"SEV-SNP", snpPath, stableMAA, snpClaims, "sevsnpvm",
		0x2a0, 0x90, "x-ms-sevsnpvm-hostdata", // AMD 56860, ATTESTATION_REPORT
	}
	intelTDX = hardware{
		"TDX", tdxPath, "2025-06-01", tdxClaims, "tdxvm",
		0, 0, "tdx_mrtd",
	}
)

// Places in a quote: the header has 48 bytes, the body of version 4 begins there, and that of version 5
// after its type and size (Intel TDX DCAP quoting library, quote format).
const (
	quoteBody4, quoteBody5 = 48, 54
	bodySize10, bodySize15 = 584, 648
	mrtdInBody             = 136
)

func newMachine(c Config) *machine {
	if c.Evidence == nil {
		return nil
	}
	m := &machine{hardware: sevSNP, evidence: *c.Evidence, runtime: c.RuntimeData}
	if c.Evidence.IsTDX() {
		m.hardware = intelTDX
		m.measured, m.signature = placesIn(c.Evidence.TDQuote)
	}
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

// placesIn returns the places of MRTD and of the signature in a quote. The size of the signature data
// is between body and signature.
func placesIn(q *tdx.Quote) (mrtd, signature int) {
	const sizeOfSize = 4
	if q.Version() == 4 {
		return quoteBody4 + mrtdInBody, quoteBody4 + bodySize10 + sizeOfSize
	}
	size := bodySize15
	if raw := q.Raw(); raw[quoteBody4] == 2 { // type of the body: TDX 1.0
		size = bodySize10
	}
	return quoteBody5 + mrtdInBody, quoteBody5 + size + sizeOfSize
}

// CheckEvidence returns an error for evidence that no run can use: it needs a report of SEV-SNP with its
// certificates or a TDX quote, which must bind the runtime data, given here or part of the evidence.
func CheckEvidence(e *inspect.Evidence, runtimeData []byte) error {
	if runtimeData == nil {
		runtimeData = e.RuntimeData
	}
	var bound bool
	switch {
	case e.Report != nil && e.Chain == nil:
		return errors.New("the evidence has no certificates of its report; use the output of `skr attest combined`")
	case e.Report != nil:
		bound = snp.Bind(runtimeData) == e.Report.ReportData()
	case e.TDQuote != nil:
		bound = e.TDQuote.CheckReportData(tdx.Bind(runtimeData)) == nil
	default:
		return errors.New("the evidence has neither an SEV-SNP report nor a TDX quote")
	}
	if runtimeData != nil && !bound {
		return errors.New("the evidence does not bind the runtime data: its SHA-256 is not in the report or quote")
	}
	return nil
}

// request returns the body of the request for a token. A change is applied to the report or quote.
func (m *machine) request(encoding *base64.Encoding, nonce any, change func(signed []byte)) map[string]any {
	if change == nil {
		change = func([]byte) {}
	}
	body := make(map[string]any)
	if m.evidence.Report != nil {
		body["report"] = m.report(encoding, change)
	} else {
		quote := slices.Clone(m.evidence.TDQuote.Raw())
		change(quote)
		body["quote"] = encoding.EncodeToString(quote)
	}
	if m.runtime != nil {
		body["runtimeData"] = map[string]string{"data": encoding.EncodeToString(m.runtime), "dataType": "JSON"}
	}
	if nonce != nil {
		body["nonce"] = nonce
	}
	return body
}

// report returns the report with its certificates and endorsements.
func (m *machine) report(encoding *base64.Encoding, change func([]byte)) string {
	report := slices.Clone(m.evidence.Report.Raw())
	change(report)
	inner := map[string]string{"SnpReport": encoding.EncodeToString(report), "VcekCertChain": encoding.EncodeToString(m.evidence.Chain.PEM())}
	if m.evidence.Endorsement != nil {
		list, _ := json.Marshal(map[string][]string{"Uvm": {encoding.EncodeToString(m.evidence.Endorsement.Raw())}})
		inner["Endorsements"] = encoding.EncodeToString(list)
	}
	text, _ := json.Marshal(inner) // strings only
	return encoding.EncodeToString(text)
}

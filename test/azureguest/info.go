package azureguest

import (
	"encoding/base64"
	"encoding/json"
	"testing"
)

// Path is the path and query of the request.
const Path = "/attest/AzureGuest?api-version=2020-10-01"

// Info is AttestationInfo. encoding/json encodes octets in standard base64, as
// the client does.
type Info struct {
	AttestationProtocolVersion string
	OSType, OSDistro, OSBuild  []byte
	OSVersionMajor             any
	OSVersionMinor             any
	TcgLogs                    []byte
	ClientPayload              map[string][]byte `json:",omitempty"`
	TpmInfo                    TPMInfo
	IsolationInfo              Isolation
}

// TPMInfo is the evidence of the TPM.
type TPMInfo struct {
	AikCert, AikPub, PcrQuote, PcrSignature []byte
	PcrSet                                  []int
	PCRs                                    []PCR
	EncKeyPub, EncKeyCertifyInfo            []byte
	EncKeyCertifyInfoSignature              []byte
}

// PCR is the value of a register.
type PCR struct {
	Index  int
	Digest []byte
}

// Isolation is the kind of machine and its evidence.
type Isolation struct {
	Type     string
	Evidence *Evidence `json:",omitempty"` // only for a confidential machine
}

// Evidence is the processor's evidence and the claims that it covers: for SEV-SNP
// a report with its certificates, as JSON, and for TDX a bare quote.
type Evidence struct{ Proof, RunTimeData []byte }

// SetReport turns i into the request of a confidential machine. chain is PEM.
func (i *Info) SetReport(t testing.TB, report, chain, claims []byte) {
	t.Helper()
	proof := marshal(t, map[string]any{"SnpReport": base64.RawURLEncoding.EncodeToString(report), "VcekCertChain": chain})
	i.IsolationInfo = Isolation{"SevSnp", &Evidence{proof, claims}}
}

// SetQuote turns i into the request of a machine with Intel TDX.
func (i *Info) SetQuote(quote, claims []byte) {
	i.IsolationInfo = Isolation{"Tdx", &Evidence{quote, claims}}
}

// Clone returns a deep copy.
func (i *Info) Clone(t testing.TB) *Info {
	t.Helper()
	var copied Info
	if err := json.Unmarshal(marshal(t, i), &copied); err != nil {
		t.Fatal(err)
	}
	return &copied
}

// Body returns the body of the request.
func (i *Info) Body(t testing.TB) []byte {
	t.Helper()
	return Wrap(t, marshal(t, i))
}

// Wrap returns the body for an AttestationInfo in JSON.
func Wrap(t testing.TB, info []byte) []byte {
	t.Helper()
	return marshal(t, map[string]string{"AttestationInfo": base64.RawURLEncoding.EncodeToString(info)})
}

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

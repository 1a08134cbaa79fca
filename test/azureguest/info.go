package azureguest

import (
	"encoding/base64"
	"encoding/json"
	"testing"
)

// Path is where the body is posted to.
const Path = "/attest/AzureGuest?api-version=2020-10-01"

// Info is AttestationInfo: encoding/json makes standard base64 of octets, as the
// client does.
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

// TPMInfo is what the TPM says.
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

// Isolation says what kind of machine it is.
type Isolation struct {
	Type     string
	Evidence *Evidence `json:",omitempty"` // of a confidential machine
}

// Evidence is the processor's report with its certificates, as JSON, and the
// claims that the report is over.
type Evidence struct{ Proof, RunTimeData []byte }

// SetReport makes it the request of a confidential machine. Chain is PEM.
func (i *Info) SetReport(t testing.TB, report, chain, claims []byte) {
	t.Helper()
	proof := marshal(t, map[string]any{"SnpReport": base64.RawURLEncoding.EncodeToString(report), "VcekCertChain": chain})
	i.IsolationInfo = Isolation{"SevSnp", &Evidence{proof, claims}}
}

// Clone is a copy with slices of its own.
func (i *Info) Clone(t testing.TB) *Info {
	t.Helper()
	var copied Info
	if err := json.Unmarshal(marshal(t, i), &copied); err != nil {
		t.Fatal(err)
	}
	return &copied
}

// Body is what is posted.
func (i *Info) Body(t testing.TB) []byte {
	t.Helper()
	return Wrap(t, marshal(t, i))
}

// Wrap makes the body around an AttestationInfo in JSON.
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

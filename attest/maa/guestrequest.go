package maa

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"skr/attest"
)

// guestRequest is AttestGuestRequest. Members and encodings follow Azure's own client
// (Azure/confidential-computing-cvm-guest-attestation, AttestationClientImpl): base64url
// without padding outside, and standard base64 with padding inside, as encoding/json
// encodes bytes.
type guestRequest struct {
	AttestationInfo string
}

type attestationInfo struct {
	AttestationProtocolVersion     string
	OSType, OSDistro, OSBuild      []byte
	OSVersionMajor, OSVersionMinor int
	TcgLogs                        []byte
	ClientPayload                  map[string][]byte
	TpmInfo                        tpmInfo
	IsolationInfo                  isolationInfo
}

type tpmInfo struct {
	AikCert      []byte
	AikPub       []byte // TPM2B_PUBLIC
	PcrQuote     []byte // TPMS_ATTEST
	PcrSignature []byte
	PcrSet       []int
	PCRs         []pcr

	EncKeyPub                  []byte // TPM2B_PUBLIC
	EncKeyCertifyInfo          []byte // TPMS_ATTEST
	EncKeyCertifyInfoSignature []byte
}

type pcr struct {
	Index  int
	Digest []byte
}

type isolationInfo struct {
	Type     string
	Evidence *isolationEvidence `json:",omitempty"`
}

type isolationEvidence struct {
	Proof       []byte // JSON of guestProof, or a TDX quote
	RunTimeData []byte // the claims that REPORT_DATA covers
}

// guestProof differs from evidence in the encoding of the chain.
type guestProof struct {
	SnpReport     string // base64url without padding
	VcekCertChain []byte
}

// The operating system is not visible from a container, and nothing proves these values.
// OSBuild is the literal of Azure's client. That the service accepts any distribution and
// version is UNCONFIRMED.
const (
	osType   = "Linux"
	osDistro = "Linux"
	osBuild  = "NotApplication"
)

func encodeGuestRequest(e *attest.Evidence, payload map[string][]byte) ([]byte, error) {
	isolation, err := isolationOf(e)
	if err != nil {
		return nil, err
	}
	info, err := json.Marshal(attestationInfo{
		AttestationProtocolVersion: "2.0",
		OSType:                     []byte(osType), OSDistro: []byte(osDistro), OSBuild: []byte(osBuild),
		TcgLogs: e.Guest.Log, ClientPayload: payload, TpmInfo: tpmInfoOf(e.Guest), IsolationInfo: isolation,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the evidence: %w", err)
	}
	body, err := json.Marshal(guestRequest{base64.RawURLEncoding.EncodeToString(info)})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return body, nil
}

func tpmInfoOf(g *attest.Guest) tpmInfo {
	info := tpmInfo{
		AikCert: g.Certificate, AikPub: g.AK,
		PcrQuote: g.Quote.Info, PcrSignature: g.Quote.Signature, PcrSet: g.PCRs.Sorted(),
		EncKeyPub: g.Key.Area(), EncKeyCertifyInfo: g.Certification.Info, EncKeyCertifyInfoSignature: g.Certification.Signature,
	}
	for _, index := range info.PcrSet {
		value := g.PCRs[index]
		info.PCRs = append(info.PCRs, pcr{index, value[:]})
	}
	return info
}

func isolationOf(e *attest.Evidence) (isolationInfo, error) {
	switch {
	case e.TDQuote != nil:
		return isolationInfo{"Tdx", &isolationEvidence{e.TDQuote.Raw(), e.Guest.HCL.Claims().Raw()}}, nil
	case e.Report == nil:
		return isolationInfo{Type: "TrustedLaunch"}, nil
	}
	proof, err := json.Marshal(guestProof{base64.RawURLEncoding.EncodeToString(e.Report.Raw()), e.Chain.PEM()})
	if err != nil {
		return isolationInfo{}, fmt.Errorf("encoding the report: %w", err)
	}
	return isolationInfo{"SevSnp", &isolationEvidence{proof, e.Guest.HCL.Claims().Raw()}}, nil
}

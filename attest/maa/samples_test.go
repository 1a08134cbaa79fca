package maa

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/jose/jws"
	"skr/internal/strictjson"
	"skr/test/samples"
)

// unwrapped is a request with each layer of base64url decoded.
type unwrapped struct {
	Members                    []string
	Report, Chain, Endorsement []byte
	RuntimeData                []byte
	DataType                   string
	InitTimeData, Nonce        string
}

// unwrap accepts only padded base64url, which is what the client sends.
func unwrap(t *testing.T, body []byte) unwrapped {
	t.Helper()
	decode := func(text string) []byte {
		data, err := base64.URLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	parse := func(data []byte, into any) {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	var outer struct {
		Report                    string
		RuntimeData, InitTimeData data
		Nonce                     json.RawMessage
	}
	var names, innerNames map[string]json.RawMessage
	var inner evidence
	var list endorsements
	parse(body, &outer)
	parse(body, &names)
	parse(decode(outer.Report), &inner)
	parse(decode(outer.Report), &innerNames)
	u := unwrapped{
		Report: decode(inner.SnpReport), Chain: decode(inner.VcekCertChain),
		RuntimeData: decode(outer.RuntimeData.Data), DataType: outer.RuntimeData.DataType,
		InitTimeData: outer.InitTimeData.Data + outer.InitTimeData.DataType, Nonce: string(outer.Nonce),
	}
	if inner.Endorsements != "" {
		parse(decode(inner.Endorsements), &list)
		u.Endorsement = decode(list.Uvm[0])
	}
	for _, name := range []string{"report", "runtimeData", "initTimeData", "nonce"} {
		if _, found := names[name]; found {
			u.Members = append(u.Members, name)
		}
	}
	for _, name := range []string{"SnpReport", "VcekCertChain", "Endorsements"} {
		if _, found := innerNames[name]; found {
			u.Members = append(u.Members, name)
		}
	}
	return u
}

// TestRequestAsRecorded encodes the evidence of a recorded request again.
func TestRequestAsRecorded(t *testing.T) {
	want := unwrap(t, samples.Read(t, "aci-milan-v3", "maa-request.json"))
	report, err := snp.Parse(want.Report)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := vcek.ParsePEM(want.Chain)
	if err != nil {
		t.Fatal(err)
	}
	endorsement, err := uvm.ParseEndorsement(want.Endorsement)
	if err != nil {
		t.Fatal(err)
	}
	if report.ReportData() != snp.Bind(want.RuntimeData) || endorsement.Measurement() != report.Measurement() {
		t.Error("the recorded evidence is inconsistent")
	}
	body, err := encodeRequest(&attest.Evidence{Report: report, Chain: chain, RuntimeData: want.RuntimeData, Endorsement: endorsement}, 13202930541250959283)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, unwrap(t, body)); diff != "" {
		t.Errorf("request differs (-recorded +ours):\n%s", diff)
	}
}

// unverified parses a recorded token without verification: the recordings lack MAA's signing keys.
func unverified(t *testing.T, path ...string) strictjson.Object {
	t.Helper()
	signed, err := jws.Parse(strings.TrimSpace(string(samples.Read(t, path...))), maxToken)
	if err != nil {
		t.Fatal(err)
	}
	if signed.KeyID == "" || signed.Algorithm != "RS256" {
		t.Errorf("key %q, algorithm %q", signed.KeyID, signed.Algorithm)
	}
	claims, err := strictjson.Parse(signed.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestRecordedToken compares a token with the report that it was issued for.
func TestRecordedToken(t *testing.T) {
	claims := unverified(t, "maa", "aci-token.jwt")
	var recorded struct{ Report string }
	var inner evidence
	if err := json.Unmarshal(samples.Read(t, "maa", "aci-request.json"), &recorded); err != nil {
		t.Fatal(err)
	}
	layer, err := base64.RawURLEncoding.DecodeString(recorded.Report)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(layer, &inner); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(inner.SnpReport)
	if err != nil {
		t.Fatal(err)
	}
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	data := report.ReportData()
	bound, _ := claims.Text(claimReportData)
	kind, _ := claims.Text(claimAttestationType)
	if bound != hex.EncodeToString(data[:]) || kind != attestationType {
		t.Errorf("claims are %s", claims)
	}
}

// TestRecordedRuntimeData checks MAA's own encoding of runtime data: sorted members
// and no white space.
func TestRecordedRuntimeData(t *testing.T) {
	claims := unverified(t, "maa", "cvm-genoa-token.jwt")
	data := samples.Read(t, "maa", "cvm-genoa-runtime-data.json")
	parsed, err := parseRuntime(data)
	if err != nil {
		t.Fatal(err)
	}
	if !parsed.in(claims, claimReportData, "") {
		t.Error("the token does not contain the runtime data")
	}
	sum := sha256.Sum256(data)
	if contradicts(claims, claimReportData, hex.EncodeToString(sum[:])+strings.Repeat("0", 64)) {
		t.Error("the token's report data is not the hash of the runtime data")
	}
}

// TestRecordedTokenVerdict verifies a recorded token with a key that did not sign it.
// Only the signature check fails.
func TestRecordedTokenVerdict(t *testing.T) {
	token := strings.TrimSpace(string(samples.Read(t, "maa", "cvm-genoa-token.jwt")))
	claims := unverified(t, "maa", "cvm-genoa-token.jwt")
	issuer, _ := claims.Text("iss")
	authority := authorityOf(t, strings.TrimPrefix(issuer, "https://"))
	_, err := parseToken(authority, token, time.Now, findAny)
	if err == nil || !strings.Contains(err.Error(), "signature does not verify") {
		t.Errorf("got %v", err)
	}
}

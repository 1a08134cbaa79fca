package images

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"

	"skr/attest/snp"
	"skr/internal/sidecar/keyproviderpb"
	"skr/internal/sidecar/keyproviderpb/ocicryptpb"
)

// TestReportDataOfTheReference: the methods accept what the reference's methods accept. The
// reference's own test sends base64url to GetReport, and its manual sends nothing to both.
func TestReportDataOfTheReference(t *testing.T) {
	t.Parallel()
	client := keyproviderpb.NewKeyProviderServiceClient(newPod(t).dial(t))
	for text, bound := range map[string]string{"RVhBTVBMRQ==": "RVhBTVBMRQ==", "xy": "xy", "abc": "abc", "6869": "hi", "": ""} {
		got, err := client.GetReport(t.Context(), &keyproviderpb.KeyProviderGetReportInput{ReportDataHexString: text})
		if err != nil {
			t.Errorf("GetReport of %q: %v", text, err)
			continue
		}
		raw, err := hex.DecodeString(got.GetReportHexString())
		checkBound(t, raw, err, bound)
	}
	for text, bound := range map[string]string{"RVhBTVBMRQ==": "EXAMPLE", "": ""} {
		got, err := client.GetAttestationData(t.Context(), &keyproviderpb.KeyProviderGetAttestationDataInput{B64RuntimeDataString: text})
		if err != nil || got.GetCerts() == "" {
			t.Errorf("GetAttestationData of %q: %v", text, err)
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(got.GetAttestationReport())
		checkBound(t, raw, err, bound)
	}
}

func checkBound(t *testing.T, raw []byte, err error, bound string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if want := snp.Bind([]byte(bound)); report.ReportData() != want {
		t.Errorf("REPORT_DATA is %s, want %s, the digest of %q", report.ReportData(), want, bound)
	}
}

// rust is the JSON that serde_json writes for Vec<u8>: a list of numbers, not base64.
type rust []uint16

func (r rust) bytes(t *testing.T) []byte {
	t.Helper()
	data := make([]byte, len(r))
	for i, number := range r {
		if number > 255 {
			t.Fatalf("%d is not a byte", number)
		}
		data[i] = byte(number)
	}
	return data
}

// TestImageRS wraps and unwraps like image-rs of Kata and Confidential Containers. It sends
// the requests of ocicrypt-rs (guest-components 0e0fb720,
// ocicrypt-rs/src/keywrap/keyprovider/mod.rs), and its parser is as strict.
func TestImageRS(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	client := ocicryptpb.NewKeyProviderServiceClient(p.dial(t))
	options := `{"symkey":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) +
		`","digest":"sha256:` + hex.EncodeToString(make([]byte, 32)) + `","cipheroptions":{}}`
	parameter := base64.StdEncoding.EncodeToString([]byte("skr:layers"))
	wrap := encode(t, map[string]any{
		"op": "keywrap",
		"keywrapparams": map[string]any{
			"ec": map[string]any{"Parameters": map[string]any{"attestation-agent": []string{parameter}}, "DecryptConfig": nil}, "optsdata": options,
		},
		"keyunwrapparams": map[string]any{"dc": nil, "annotation": nil},
	})
	answer, err := client.WrapKey(t.Context(), &ocicryptpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: wrap})
	if err != nil {
		t.Fatal(err)
	}
	var wrapped struct {
		Results *struct {
			Annotation rust `json:"annotation"`
		} `json:"keywrapresults"`
		Other *json.RawMessage `json:"keyunwrapresults"`
	}
	decode(t, answer.GetKeyProviderKeyWrapProtocolOutput(), &wrapped)
	if wrapped.Other != nil {
		t.Errorf("the answer has results of the other operation: %s", *wrapped.Other)
	}
	unwrap := encode(t, map[string]any{
		"op":              "keyunwrap",
		"keywrapparams":   map[string]any{"ec": nil, "optsdata": nil},
		"keyunwrapparams": map[string]any{"dc": map[string]any{"Parameters": map[string]any{}}, "annotation": wrapped.Results.Annotation.bytes(t)},
	})
	answer, err = client.UnWrapKey(t.Context(), &ocicryptpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: unwrap})
	if err != nil {
		t.Fatal(err)
	}
	var unwrapped struct {
		Results *struct {
			Data rust `json:"optsdata"`
		} `json:"keyunwrapresults"`
	}
	decode(t, answer.GetKeyProviderKeyWrapProtocolOutput(), &unwrapped)
	if got := string(unwrapped.Results.Data.bytes(t)); got != options {
		t.Errorf("unwrapped %q, want %q", got, options)
	}
	var inGo struct { // as containers/ocicrypt reads it, which is in skopeo
		Results struct {
			Data []byte `json:"optsdata"`
		} `json:"keyunwrapresults"`
	}
	decode(t, answer.GetKeyProviderKeyWrapProtocolOutput(), &inGo)
	if string(inGo.Results.Data) != options {
		t.Errorf("ocicrypt in Go reads %q", inGo.Results.Data)
	}
}

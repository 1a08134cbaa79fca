package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/google/go-sev-guest/verify/trust"
)

// numbersOf returns bytes as a list of JSON numbers.
func numbersOf(data []byte) []int {
	list := make([]int, len(data))
	for i, b := range data {
		list[i] = int(b)
	}
	return list
}

// A certificate with the trailing zeros of a TPM's NV index is recognised in every carrier:
// as DER, as PEM of certificate and zeros, as a member and as a file.
func TestPaddedCertificate(t *testing.T) {
	padded := append(bytes.Clone(testdata.VcekBytes), make([]byte, 4096-len(testdata.VcekBytes))...)
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: padded})
	plain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testdata.VcekBytes})
	for name, data := range map[string][]byte{
		"DER": padded, "PEM": inPEM, "PEM in the index": append(plain, 0, 0, 0), "hex": []byte(hex.EncodeToString(padded)),
		"base64": []byte(base64.StdEncoding.EncodeToString(padded)), "base64 of PEM": []byte(base64.StdEncoding.EncodeToString(inPEM)),
		"numbers": jsonOf(t, numbersOf(padded)), "first of several": append(inPEM, trust.AskArkMilanVcekBytes...),
	} {
		found, err := Recognise(data)
		if err != nil || found.Kind() != Chain {
			t.Errorf("%s: %s, %v", name, found, err)
			continue
		}
		evidence, _ := found.Evidence()
		if !bytes.Equal(evidence.Chain.Certificates()[0].Raw, testdata.VcekBytes) {
			t.Errorf("%s: got a different certificate", name)
		}
	}
	for name, value := range map[string]any{
		"PEM": string(inPEM), "base64": base64.StdEncoding.EncodeToString(padded), "numbers": numbersOf(padded),
	} {
		found, err := Recognise(jsonOf(t, map[string]any{"vcek": value}))
		evidence, _ := found.Evidence()
		if err != nil || evidence.Chain == nil || faults(found) != "" {
			t.Errorf("member as %s: %v, faults %q", name, err, faults(found))
		}
	}
	trailing := append(bytes.Clone(padded), 1)
	for name, data := range map[string][]byte{"DER": trailing, "PEM": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trailing})} {
		if found, err := Recognise(data); err == nil {
			t.Errorf("%s with other trailing bytes is recognised as %s", name, found)
		}
	}
}

// The same evidence is read from text and from numbers.
func TestNumbers(t *testing.T) {
	report, nonce := testdata.AttestationBytes, []byte("nonce")
	pcrValues := []any{numbersOf(bytes.Repeat([]byte{1}, 32)), numbersOf(bytes.Repeat([]byte{2}, 32))}
	found, err := Recognise(jsonOf(t, map[string]any{
		"report": numbersOf(report), "vcek": numbersOf(testdata.VcekBytes), "runtime_data": numbersOf([]byte("any")),
		"quote": map[string]any{"message": numbersOf(quoteOf(nonce)), "signature": numbersOf(make([]byte, 256)), "pcrs": pcrValues},
	}))
	if err != nil {
		t.Fatal(err)
	}
	evidence, _ := found.Evidence()
	boot := found.Boot()
	if evidence.Report == nil || !bytes.Equal(evidence.Report.Raw(), report) || evidence.Chain == nil || string(evidence.RuntimeData) != "any" {
		t.Errorf("evidence %+v, faults %q", evidence, faults(found))
	}
	if boot.Quote == nil || !bytes.Equal(boot.Quote.Nonce(), nonce) || !boot.Quote.Signed() || len(boot.PCRs) != 2 || boot.PCRs[1][0] != 2 {
		t.Errorf("boot %+v, faults %q", boot, faults(found))
	}
}

// Numbers that are not bytes are not read as bytes.
func TestNoNumbers(t *testing.T) {
	for _, text := range []string{
		"", "[", "[]x", "[256]", "[-1]", "[1.0]", "[1e1]", "[null]", `["1"]`, "[true]", "[[1]]", "[1,]", "[1 2]", "[01]", "[1]]", "[1][2]",
	} {
		if data, ok := decodeNumbers([]byte(text)); ok {
			t.Errorf("%q is read as % x", text, data)
		}
	}
	if data, ok := decodeNumbers([]byte("[0,\n 255,\t7 ]")); !ok || !bytes.Equal(data, []byte{0, 255, 7}) {
		t.Errorf("got % x, %v", data, ok)
	}
}

// A quote and its signature may be separate files.
func TestSignatureFile(t *testing.T) {
	file := func(name string, data []byte) File {
		found, err := Recognise(data)
		return File{Name: name, Found: found, Err: err}
	}
	quoteFile, one := file("q", quoteOf(nil)), file("s", signatureOf(algorithmRSASSA, 256))
	for name, files := range map[string][]File{"quote first": {quoteFile, one}, "signature first": {one, quoteFile}, "twice": {one, quoteFile, one}} {
		joined := Join(files)
		if boot := joined.Boot(); boot.Quote == nil || !boot.Quote.Signed() || faults(joined) != "" {
			t.Errorf("%s: the quote is not signed, faults %q", name, faults(joined))
		}
	}
	other := signatureOf(algorithmRSASSA, 256)
	other[10] ^= 1
	if got := faults(Join([]File{quoteFile, one, file("t", other)})); !strings.Contains(got, "signature is another") {
		t.Errorf("faults %q", got)
	}
	joined := Join([]File{quoteFile, file("s", signatureOf(0x16, 256))})
	if got := faults(joined); joined.Boot().Quote.Signed() || !strings.Contains(got, "want 0x14 and 0xb, RSASSA and SHA-256") {
		t.Errorf("RSAPSS: faults %q", got)
	}
}

// A release policy is shown under each name that a tool gives it in a key.
func TestPolicyOfKey(t *testing.T) {
	encoded := unpadded([]byte(policyJSON))
	for _, members := range []map[string]any{
		{"release_policy": map[string]any{"data": encoded}},
		{"releasePolicy": map[string]any{"contentType": "application/json; charset=utf-8", "encodedPolicy": encoded, "immutable": false}},
	} {
		members["key"] = map[string]any{"kid": "https://v.vault.azure.net/keys/k/1", "kty": "RSA"}
		members["attributes"] = map[string]any{"enabled": true}
		found, err := Recognise(jsonOf(t, members))
		if err != nil || found.Kind() != KeyBundle {
			t.Fatalf("%s, %v", found, err)
		}
		if text := textFor(t, found, goldenNow); !strings.Contains(text, "Authority https://maa.example") {
			t.Errorf("the policy is not shown:\n%s", text)
		}
	}
}

// Lists and results of operations are recognised as vaults and az print them. The result is
// not shown: it may be plaintext.
func TestVaultAnswers(t *testing.T) {
	kid := "https://v.vault.azure.net/keys/k/1"
	for _, c := range []struct {
		name, text string
		want       Kind
	}{
		{"az keyvault key list", `[{"kid":"` + kid + `","attributes":{"enabled":true},"name":"k","managed":null}]`, KeyList},
		{"empty page", `{"value":[],"nextLink":null}`, KeyList},
		{"az keyvault key decrypt", `{"algorithm":"RSA-OAEP","kid":"` + kid + `","result":"` + secretText + `"}`, KeyOperation},
		{"az keyvault key sign", `{"algorithm":"RS256","keyId":"` + kid + `","signature":"` + secretText + `"}`, KeyOperation},
		{"az keyvault key verify", `{"algorithm":"RS256","isValid":false,"keyId":"` + kid + `"}`, KeyOperation},
		{"with tag", `{"kid":"` + kid + `","value":"` + secretText + `","iv":"AA","tag":"AA","aad":"AA"}`, KeyOperation},
		{"unrelated list", `{"value":[{"id":"x"}],"nextLink":null}`, ""},
		{"value alone", `{"value":"` + secretText + `"}`, ""},
		{"list of names", `["kid","attributes"]`, ""},
	} {
		found, err := Recognise([]byte(c.text))
		if c.want == "" {
			if err == nil && found.Kind() != Bundle {
				t.Errorf("%s: it is %s", c.name, found)
			}
			continue
		}
		if err != nil || found.Kind() != c.want {
			t.Errorf("%s: %s, %v", c.name, found, err)
			continue
		}
		if text := textFor(t, found, goldenNow); strings.Contains(text, secretText) {
			t.Errorf("%s: the result is shown:\n%s", c.name, text)
		}
	}
}

func TestSizeIsShown(t *testing.T) {
	found, err := Recognise([]byte(`{"kid":"k","value":"` + secretText + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(found.Show(goldenNow))
	if err != nil || !strings.Contains(string(text), "20 bytes") {
		t.Errorf("%s, %v", text, err)
	}
}

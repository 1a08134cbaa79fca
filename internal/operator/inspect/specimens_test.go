package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/google/go-sev-guest/verify/trust"

	"skr/attest/snp"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

// specimen is one artefact with fixed bytes.
type specimen struct {
	name string
	data []byte
	kind Kind
}

// modulus belongs to no key: it has 2048 bits and is odd.
var modulus = strings.Repeat("q6ur", 85) + "qw"

var (
	keyJSON     = `{"e":"AQAB","key_ops":["encrypt"],"kid":"KEK","kty":"RSA","n":"` + modulus + `"}`
	runtimeJSON = `{"keys":[` + keyJSON + `]}`
)

const (
	policyJSON = `{"version":"1.0.0","anyOf":[{"authority":"https://maa.example","allOf":[` +
		`{"claim":"x-ms-sevsnpvm-hostdata","equals":"00"},{"anyOf":[{"claim":"x-ms-sevsnpvm-guestsvn","greater":1},{"claim":"own","exists":true}]}]}]}`
	bundleJSON = `{"key":{"kid":"https://v.vault.azure.net/keys/k/1","kty":"RSA-HSM","n":"AQAB","e":"AQAB"},` +
		`"attributes":{"exportable":true,"created":1767294245,"exp":1767333845},"release_policy":{"data":`
	keyListJSON = `{"value":[{"kid":"https://v.vault.azure.net/keys/a","attributes":{"enabled":true,"exportable":true}},` +
		`{"kid":"https://v.vault.azure.net/keys/b","attributes":{"enabled":false}}],"nextLink":"https://v.vault.azure.net/keys?$skiptoken=x"}`
	// coseText is a COSE_Sign1 of text with ES256.
	coseText   = "\xd2\x84\x4f\xa2\x01\x26\x03\x6atext/plain\xa0\x45hello\x44\x01\x02\x03\x04"
	regoText   = "# TEST ONLY\npackage policy\n\ndefault allow := true\n"
	secretText = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"
	privateJWK = `{"kty":"EC","crv":"P-256","kid":"mine","x":"AA","y":"AA","d":"` + secretText + `"}`
)

func unpadded(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func jsonOf(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// turinReport is a version 5 report with all random parts replaced.
func turinReport(t testing.TB, data snp.ReportData) []byte {
	t.Helper()
	vendor, err := snptest.NewVendor(snp.Turin, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	tcb := snp.Components{FMC: 1, Bootloader: 2, TEE: 3, SNP: 4, Microcode: 200}.TCB(snp.Turin)
	platform := uint64(1<<0 | 1<<5 | 1<<7 | 1<<40)
	raw, err := chip.Report(data, snptest.Options{
		Version: 5, Policy: 0x3ff_0137 | 1<<60, PlatformInfo: &platform, SigningKey: snp.Unsigned, ReportID: [32]byte{1}, ChipID: &snp.ChipID{1, 2, 3, 4, 5, 6, 7, 8},
		CurrentTCB: &tcb, ReportedTCB: &tcb, CommittedTCB: &tcb, LaunchTCB: &tcb, LaunchMitigations: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Offsets in an HCL report; see package vtpm.
const (
	hclMagic       = "HCLA"
	hclVersion     = 4
	hclHardware    = 32
	hclDataSize    = 1216
	hclDataVersion = 1220
	hclType        = 1224
	hclHash        = 1228
	hclClaimsSize  = 1232
	hclClaims      = 1236
	hclTypeSNP     = 2
)

// hclOf returns the content of the TPM's NV index, with its trailing zeros.
func hclOf(report []byte, kind uint32, claims string) []byte {
	raw := make([]byte, 2600)
	copy(raw, hclMagic)
	copy(raw[hclHardware:], report)
	put := func(at int, value int) { binary.LittleEndian.PutUint32(raw[at:], uint32(value)) }
	put(hclVersion, 2)
	put(hclDataSize, hclClaims-hclDataSize+len(claims))
	put(hclDataVersion, 1)
	put(hclType, int(kind))
	put(hclHash, 1)
	put(hclClaimsSize, len(claims))
	copy(raw[hclClaims:], claims)
	return raw
}

func signed(header, payload string) []byte {
	return []byte(unpadded([]byte(header)) + "." + unpadded([]byte(payload)) + ".AAAA")
}

func statementOf(t testing.TB) []byte {
	t.Helper()
	header := jsonOf(t, map[string]any{"alg": "RS256", "x5c": []string{base64.StdEncoding.EncodeToString(testdata.VcekBytes)}})
	wrapped := `{"schema_version":"1.0","header":{"kid":"KEK","alg":"dir","enc":"CKM_RSA_AES_KEY_WRAP"},"ciphertext":"` + unpadded(make([]byte, 400)) + `"}`
	payload := jsonOf(t, map[string]any{
		"request": map[string]any{"kid": "https://v.vault.azure.net/keys/k", "enc": "CKM_RSA_AES_KEY_WRAP"},
		"response": map[string]any{"key": map[string]any{
			"key": map[string]any{"kid": "https://v.vault.azure.net/keys/k/1", "kty": "oct-HSM", "key_ops": []string{"sign"},
				"key_hsm": unpadded([]byte(wrapped))},
			"attributes": map[string]any{"exportable": true}, "release_policy": map[string]any{"data": unpadded([]byte(policyJSON))},
		}},
	})
	return signed(string(header), string(payload))
}

func chainPEM() []byte {
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testdata.VcekBytes})
	return append(leaf, trust.AskArkMilanVcekBytes...)
}

func requestOf(t testing.TB, report []byte) []byte {
	t.Helper()
	inner := jsonOf(t, map[string]string{"SnpReport": unpadded(report), "VcekCertChain": unpadded(chainPEM())})
	return jsonOf(t, map[string]any{
		"report": unpadded(inner), "nonce": 7,
		"runtimeData":  map[string]string{"data": unpadded([]byte(runtimeJSON)), "dataType": "JSON"},
		"initTimeData": map[string]string{"data": "", "dataType": ""},
	})
}

// thimOf needs the TCB that the certificate states.
func thimOf(t testing.TB) []byte {
	t.Helper()
	return jsonOf(t, map[string]string{
		"vcekCert":         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testdata.VcekBytes})),
		"certificateChain": string(trust.AskArkMilanVcekBytes), "tcbm": "4405000000000002",
	})
}

// specimens returns at least one artefact of each kind, with fixed bytes.
func specimens(t testing.TB) []specimen {
	t.Helper()
	bound := turinReport(t, snp.Bind([]byte(runtimeJSON)))
	return []specimen{
		{"report-2-milan", testdata.AttestationBytes, Report},
		{"report-5-turin", bound, Report},
		{"hcl-snp", hclOf(bound, hclTypeSNP, runtimeJSON), HCLReport},
		{"hcl-tdx", hclOf(tdxFile(t, "td-report.bin"), 4, runtimeJSON), HCLReport},
		{"request-bound", requestOf(t, bound), MAARequest},
		{"request-unbound", requestOf(t, testdata.AttestationBytes), MAARequest},
		{"token", signed(`{"alg":"RS256","kid":"1","typ":"JWT"}`,
			`{"exp":1767323045,"iat":1767294245,"iss":"https://maa.example",`+
				`"x-ms-attestation-type":"sevsnpvm","x-ms-sevsnpvm-is-debuggable":false,"x-ms-ver":"1.0"}`), MAAToken},
		{"answer", fixed(`{"token":"` + string(signed(`{"alg":"RS256"}`, `{"x-ms-ver":"1.0"}`)) + `"}`), MAAToken},
		{"claims", fixed(`{"x-ms-attestation-type":"azurevm","secureboot":true,"x-ms-runtime":{"keys":[` + keyJSON +
			`],"\u001b[31m":"\u001b]0;title\u0007"}}`), Claims},
		{"jws", signed(`{"alg":"ES256"}`, "text"), SignedObject},
		{"jwt", signed(`{"alg":"none"}`, `{"sub":"me","exp":1}`), SignedObject},
		{"statement", statementOf(t), ReleaseStatement},
		{"thim", thimOf(t), THIM},
		{"chain", chainPEM(), Chain},
		{"vcek-der", testdata.VcekBytes, Chain},
		{"issuers", trust.AskArkMilanVcekBytes, Certificates},
		{"cose-sign1", fixed(coseText), SignedCBOR},
		{"key-list", fixed(keyListJSON), KeyList},
		{"key-operation", fixed(`{"kid":"https://v.vault.azure.net/keys/k/1","value":"` + secretText + `"}`), KeyOperation},
		{"key-verified", fixed(`{"value":true}`), KeyOperation},
		{"tdx-quote-4", tdxFile(t, "quote-4.bin"), TDXQuote},
		{"tdx-quote-5", tdxFile(t, "quote-5.bin"), TDXQuote},
		{"tdx-report", tdxFile(t, "td-report.bin"), TDXReport},
		{"tdx-collateral", tdxFile(t, "collateral.json"), TDXCollateral},
		{"tdx-tcb-info", intelAnswer(t, "tcb_info", "tcbInfo"), TCBInfo},
		{"tdx-qe-identity", intelAnswer(t, "qe_identity", "enclaveIdentity"), QEIdentity},
		{"crl", listOf(t), CRL},
		{"tpm-signature", signatureOf(algorithmRSASSA, 256), Signature},
		{"forged-endorsement", append(bytes.Clone(coseSign1), 1, 2, 3), Endorsement},
		{"rego", fixed(regoText), CCEPolicy},
		{"policy", fixed(policyJSON), ReleasePolicy},
		{"annotation", []byte(annotationJSON), Annotation},
		{"key-info", []byte(keyInfoJSON), KeyInfo},
		{"audit-file", []byte(recordJSON + "\n" + recordJSON + "\n"), AuditFile},
		{"key-bundle", fixed(bundleJSON + `"` + unpadded([]byte(policyJSON)) + `"}}`), KeyBundle},
		{"jwks", fixed(runtimeJSON), KeySet},
		{"jwk-private", fixed(privateJWK), Key},
		{"jwk-symmetric", fixed(`{"kty":"oct","k":"` + secretText + `"}`), Key},
		{"event-log", vtpmtest.SecureBootLog(true).Raw(), EventLog},
		{"event-log-header", vtpmtest.NewLog().Raw(), EventLog},
		{"quote", quoteOf([]byte("nonce")), Quote},
		{"quote-object", jsonOf(t, map[string]any{
			"message": hex.EncodeToString(quoteOf(nil)), "signature": hex.EncodeToString(make([]byte, 256)),
			"pcrs": []string{strings.Repeat("ab", 32), strings.Repeat("00", 32)},
		}), Quote},
		{"pcrs", fixed(`{"7":"` + strings.Repeat("ab", 32) + `","17":"` + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)) + `"}`), PCRs},
		{"pcrs-tool", toolFile(1<<0|1<<23, 1), PCRs},
		{"combined", jsonOf(t, map[string]any{
			"evidence": base64.StdEncoding.EncodeToString(testdata.AttestationBytes), "endorsements": base64.StdEncoding.EncodeToString(chainPEM()),
			"endorsed_tcb": "4405000000000002", "uvm_endorsements": "", "nested": map[string]string{"report": hex.EncodeToString(bound)},
		}), Bundle},
	}
}

// quoteOf returns a TPMS_ATTEST of PCR 0 to 7 without a signature.
func quoteOf(nonce []byte) []byte {
	attest := vtpmtest.QuoteOptions{Nonce: nonce}.Attest()
	return append([]byte{0, byte(len(attest))}, attest...)
}

// toolFile holds PCR values as tpm2-tools writes them: each byte of the first is 1, of the
// next 2, and so on.
func toolFile(selection uint32, lists int) []byte {
	raw := make([]byte, toolValues+lists*toolList)
	raw[0], raw[4], raw[6], raw[toolLists] = 1, sha256Bank, 3, byte(lists)
	raw[7], raw[8], raw[9] = byte(selection), byte(selection>>8), byte(selection>>16)
	for at := range 8 * lists {
		digest := raw[toolValues+at/8*toolList+4+at%8*66:]
		digest[0] = 32
		copy(digest[2:34], bytes.Repeat([]byte{byte(at + 1)}, 32))
	}
	return raw
}

// tdxFile returns a file of emulated TDX silicon.
func tdxFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "attest", "tdx", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// memberOf returns a text in a file of JSON.
func memberOf(t testing.TB, data []byte, name string) string {
	t.Helper()
	var members map[string]string
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	return members[name]
}

// listOf returns Intel's list of revoked PCK certificates as DER.
func listOf(t testing.TB) []byte {
	t.Helper()
	der, err := hex.DecodeString(memberOf(t, tdxFile(t, "collateral.json"), "pck_crl"))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// intelAnswer returns a part of the collateral as Intel's service answers it.
func intelAnswer(t testing.TB, document, member string) []byte {
	t.Helper()
	file := tdxFile(t, "collateral.json")
	return fmt.Appendf(nil, `{"%s":%s,"signature":"%s"}`, member, memberOf(t, file, document), memberOf(t, file, document+"_signature"))
}

const algorithmRSASSA = 0x14

// signatureOf returns a TPMT_SIGNATURE with SHA-256.
func signatureOf(scheme byte, size int) []byte {
	return append([]byte{0, scheme, 0, sha256Bank, byte(size >> 8), byte(size)}, bytes.Repeat([]byte{0x5a}, size)...)
}

func fixed(text string) []byte { return []byte(text) }

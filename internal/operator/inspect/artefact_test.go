package inspect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-sev-guest/verify/testdata"

	"skr/attest/snp"
)

// Every specimen is recognised both bare and in every carrier.
func TestRecognise(t *testing.T) {
	seen := map[Kind]bool{}
	for _, s := range specimens(t) {
		seen[s.kind] = true
		quoted, err := json.Marshal(base64.StdEncoding.EncodeToString(s.data))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			data []byte
			want []string
		}{
			{s.data, nil},
			{[]byte(hex.EncodeToString(s.data) + "\n"), []string{"hex"}},
			{[]byte("0x" + strings.ToUpper(hex.EncodeToString(s.data))), []string{"hex"}},
			{[]byte(base64.StdEncoding.EncodeToString(s.data) + "\n"), []string{"base64"}},
			{[]byte(base64.URLEncoding.EncodeToString(s.data)), []string{"base64"}},
			{[]byte(unpadded(s.data)), []string{"base64"}},
			{quoted, []string{"JSON string", "base64"}},
			{[]byte(unpadded([]byte(unpadded(s.data)))), []string{"base64", "base64"}},
		} {
			found, err := Recognise(c.data)
			if err != nil {
				t.Errorf("%s in %v: %v", s.name, c.want, err)
				continue
			}
			if found.Kind() != s.kind || !slices.Equal(found.Carrier(), c.want) {
				t.Errorf("%s: got %s in %v, want %s in %v", s.name, found.Kind(), found.Carrier(), s.kind, c.want)
			}
		}
	}
	for _, k := range kinds {
		if !seen[k.kind] {
			t.Errorf("no specimen is of kind %s", k.kind)
		}
	}
}

func TestRefusals(t *testing.T) {
	report := bytes.Clone(testdata.AttestationBytes)
	report[0] = 9
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	hcl := hclOf(testdata.AttestationBytes, hclTypeSNP, runtimeJSON)
	quote4, quote5 := tdxFile(t, "quote-4.bin"), tdxFile(t, "quote-5.bin")
	with := func(at int, value byte) []byte { c := bytes.Clone(hcl); c[at] = value; return c }
	for _, c := range []struct{ name, data, want string }{
		{"nothing", "", "the file is empty"},
		{"too large", strings.Repeat("a", MaxBytes+1), "more than"},
		{"text", "hello", "it looks like: one line of text, 5 characters"},
		{"binary", "\x00\x01", "it looks like: binary data"},
		{"JSON", `{"a":1}`, "it looks like: a JSON object with the members a"},
		{"broken JSON", `{"a":`, "it looks like JSON, but"},
		{"member twice", `{"token":1,"token":2}`, "twice"},
		{"deep JSON", deep, "nested more than"},
		{"report version", string(report), "it looks like: SEV-SNP report; but"},
		{"report in hex", hex.EncodeToString(report), "in hex: it looks like: SEV-SNP report"},
		{"short HCL report", hclMagic + "\x00", "1236 are needed"},
		{"HCL lengths", string(with(hclClaimsSize+2, 1)), "contradict"},
		{"HCL data size", string(with(hclDataSize, 1)), "contradict"},
		{"HCL hash", string(with(hclHash, 2)), "hash type is 2"},
		{"HCL version", string(with(hclDataVersion, 2)), "version 2"},
		{"HCL claims", string(with(hclClaims, '[')), "runtime claims"},
		{"TDX quote of another version", string(append([]byte{3}, quote4[1:]...)),
			"it looks like: TDX quote; but malformed TDX evidence: quote: version 3, want 4 or 5"},
		{"short TDX quote", string(quote4[:600]), "it looks like: TDX quote; but malformed TDX evidence: quote: 600 bytes end before"},
		{"body of a TDX quote", string(append(quote5[:50:50], make([]byte, 1000)...)), "a body of type 3 with 0 bytes"},
		{"TDX report with another hash", string(append(tdxFile(t, "td-report.bin")[:1023:1023], 1)),
			"it looks like: TDX report; but malformed TDX evidence: TD report: TEE_INFO_HASH"},
		{"TCB info of SGX", `{"tcbInfo":{"id":"SGX","version":3},"signature":"` + strings.Repeat("00", 64) + `"}`, "it looks like: TDX TCB info; but"},
		{"PEM of a list", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "it looks like: certificate revocation list; but"},
		{"collateral in YAML", "tcb_info: x\ntcb_info_signature: y\n", "it looks like: TDX collateral; but"},
		{"signature of a TPM", string(signatureOf(0x16, 256)), "it looks like: TPM signature; but"},
		{"THIM", `{"vcekCert":"","certificateChain":""}`, "it looks like: THIM document"},
		{"policy", `{"version":"1.0.0","anyOf":[]}`, "it looks like: release policy"},
		{"PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it looks like: certificates"},
		{"token", "eyJhIjoxfQ.e30.A*", "it looks like"},
		{"bundle of a broken report", `{"evidence":"` + hex.EncodeToString(report) + `"}`, `member "evidence": in hex`},
	} {
		_, err := Recognise([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %v", c.name, err)
		}
	}
}

// The number of carriers that are removed is limited.
func TestLayers(t *testing.T) {
	data := testdata.AttestationBytes
	for range maxLayers {
		data = []byte(unpadded(data))
	}
	if _, err := Recognise(data); err != nil {
		t.Errorf("%d layers: %v", maxLayers, err)
	}
	if _, err := Recognise([]byte(unpadded(data))); err == nil {
		t.Error("one layer too many was removed")
	}
}

// The private part of a key is never shown, in any carrier.
func TestPrivatePartIsWithheld(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{secretText, hex.EncodeToString(scalar), unpadded(scalar), base64.StdEncoding.EncodeToString(scalar)}
	upper := strings.NewReplacer(`"d"`, `"D"`, `"kty"`, `"Kty"`).Replace(privateJWK)
	for name, data := range map[string][]byte{
		"JWK":         []byte(privateJWK),
		"JWKS":        []byte(`{"keys":[` + privateJWK + `]}`),
		"capitals":    []byte(`{"keys":[` + upper + `]}`),
		"claims":      []byte(`{"x-ms-attestation-type":"x","x-ms-runtime":{"keys":[` + privateJWK + `]}}`),
		"key bundle":  []byte(`{"key":{"kid":"x","kty":"oct","k":"` + secretText + `"},"attributes":{}}`),
		"answer":      jsonOf(t, map[string]string{"key": privateJWK}),
		"object":      []byte(`{"any":` + privateJWK + `}`),
		"PKCS #8":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"PKCS #8 DER": pkcs8,
		"SEC 1":       pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}),
		"encrypted":   pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: pkcs8}),
	} {
		found, err := Recognise(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := textFor(t, found, time.Now())
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s: the private part is shown:\n%s", name, text)
			}
		}
		if !strings.Contains(text, withheld) {
			t.Errorf("%s: the output does not say that the private part is withheld:\n%s", name, text)
		}
	}
}

// A token is shown decoded. Its encoded form is not repeated.
func TestTokenIsNotRepeated(t *testing.T) {
	for _, s := range specimens(t) {
		if s.kind != MAAToken && s.kind != SignedObject && s.kind != ReleaseStatement {
			continue
		}
		found, err := Recognise(s.data)
		if err != nil {
			t.Fatal(err)
		}
		signature := s.data[bytes.LastIndexByte(s.data, '.'):]
		if text := textFor(t, found, time.Now()); strings.Contains(text, string(bytes.Trim(signature, `"}`))) {
			t.Errorf("%s: the signature is shown", s.name)
		}
	}
}

// textFor returns both forms, one after the other.
func textFor(t testing.TB, found Artefact, now time.Time) string {
	t.Helper()
	var out bytes.Buffer
	description := found.Show(now)
	if err := description.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(description); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Foreign text cannot move a terminal's cursor.
func TestPrintable(t *testing.T) {
	found, err := Recognise([]byte(`{"x-ms-ver":"1.0","iss":"\u001b[2J\nfake  ok","\u0007":"\u202e"}`))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := found.Show(time.Now()).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\u202e") || strings.Contains(out.String(), "\nfake") {
		t.Errorf("control characters got through: %q", out.String())
	}
}

func TestDistance(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		apart time.Duration
		want  string
	}{
		{0, "now"}, {30 * time.Second, "in 30 s"}, {-5 * time.Minute, "5 min ago"}, {3 * time.Hour, "in 3 h"},
		{47 * time.Hour, "in 47 h"}, {49 * time.Hour, "in 2 days"}, {-3 * 365 * 24 * time.Hour, "3 years ago"},
	} {
		if got := distance(now.Add(c.apart), now); got != c.want {
			t.Errorf("%s: got %q, want %q", c.apart, got, c.want)
		}
	}
}

// The output stays bounded for claims whose paths get longer with each level.
func TestClaimsAreBounded(t *testing.T) {
	name := strings.Repeat("n", 150)
	nested := `{"x-ms-attestation-type":"x","a":` + strings.Repeat(`{"`+name+`":`, 40) + "1" + strings.Repeat("}", 40) + "}"
	many := `{"x-ms-attestation-type":"x","a":[{}` + strings.Repeat(`,{"b":1}`, 15_000) + `]}`
	for _, data := range []string{nested, many} {
		found, err := Recognise([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if text := textFor(t, found, time.Now()); len(text) > 1<<20 || !strings.Contains(text, "not shown") {
			t.Errorf("%d bytes", len(text))
		}
	}
}

// The bits match those that package snp enforces.
func TestPolicyBits(t *testing.T) {
	for name, method := range map[string]func(snp.GuestPolicy) bool{
		"SMT": snp.GuestPolicy.SMT, "MIGRATE_MA": snp.GuestPolicy.MigrationAgent, "DEBUG": snp.GuestPolicy.Debug,
		"SINGLE_SOCKET": snp.GuestPolicy.SingleSocket, "CXL_ALLOW": snp.GuestPolicy.CXL, "MEM_AES_256_XTS": snp.GuestPolicy.AES256XTS,
		"RAPL_DIS": snp.GuestPolicy.RAPLDisabled, "CIPHERTEXT_HIDING_DRAM": snp.GuestPolicy.CiphertextHiding,
		"PAGE_SWAP_DISABLE": snp.GuestPolicy.PageSwapDisabled,
	} {
		at := slices.IndexFunc(policyBits, func(b bit) bool { return b.name == name })
		if at < 0 || !method(1<<policyBits[at].at) {
			t.Errorf("%s is a different bit", name)
		}
	}
	if len(policyBits) != 9 {
		t.Errorf("%d bits, the test covers 9", len(policyBits))
	}
}

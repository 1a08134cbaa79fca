package maa

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/internal/jose/keywrap"
	"skr/internal/refusal"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

// guestKey is a key in memory in place of one in a TPM. Package attest tests its own
// key with a TPM.
type guestKey struct {
	*rsa.PrivateKey

	fault error
}

func (k guestKey) RSA() *rsa.PublicKey { return &k.PublicKey }
func (k guestKey) Area() []byte        { return []byte("public area") }
func (k guestKey) Decrypter(context.Context) keywrap.Decrypter {
	return keywrap.NewDecrypter(k.PrivateKey)
}
func (k guestKey) DecryptRSAES(_ context.Context, ciphertext []byte) ([]byte, error) {
	if k.fault != nil {
		return nil, k.fault
	}
	return rsa.DecryptPKCS1v15(nil, k.PrivateKey, ciphertext) //nolint:staticcheck // MAA's envelope has it
}

// guestEvidence returns evidence of a confidential VM or of a Trusted Launch VM.
func guestEvidence(t testing.TB, confidential bool, runtime []byte) *attest.Evidence {
	t.Helper()
	e := &attest.Evidence{RuntimeData: runtime, Guest: &attest.Guest{
		AK: []byte("AK"), Certificate: []byte("certificate"), Log: []byte("log"), PCRs: vtpm.PCRs{0: {1}, 7: {7}},
		Quote: tpm.Attestation{Info: []byte("quote"), Signature: []byte("its signature")},
		Key:   guestKey{PrivateKey: rsaKeys()[1]}, Certification: tpm.Attestation{Info: []byte("certification"), Signature: []byte("its signature")},
	}}
	if !confidential {
		return e
	}
	m, err := theMachine()
	if err != nil {
		t.Fatal(err)
	}
	index, err := vtpmtest.HCL(m.chip, vtpmtest.Claims(&rsaKeys()[0].PublicKey, true), vtpmtest.HCLOptions{Report: snptest.Options{}})
	if err != nil {
		t.Fatal(err)
	}
	if e.Guest.HCL, err = vtpm.ParseHCL(index); err != nil {
		t.Fatal(err)
	}
	direct := newEvidence(t, "{}")
	e.Report, e.Chain = e.Guest.HCL.Report(), direct.Chain
	return e
}

// guestService is an instance that serves AzureGuest. Tests can alter its answers.
type guestService struct {
	*service

	got      attestationInfo
	key      *rsa.PublicKey // the key that the token names
	sealTo   *rsa.PublicKey // the key that the envelope is sealed to
	envelope func(e map[string]any)
	answer   func(text string) string
}

func newGuestService(t *testing.T) *guestService {
	g := &guestService{service: newService(t), key: &rsaKeys()[1].PublicKey, sealTo: &rsaKeys()[1].PublicKey}
	g.intercepts["/attest/AzureGuest"] = func(w http.ResponseWriter, r *http.Request) {
		g.query = r.URL.Query()
		var body guestRequest
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		info, err := base64.RawURLEncoding.DecodeString(body.AttestationInfo)
		if err == nil {
			err = json.Unmarshal(info, &g.got)
		}
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"token": g.respond(t)})
	}
	return g
}

func (g *guestService) respond(t *testing.T) string {
	token, err := g.token(g.claims(t))
	if err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(g.seal(t, token))
	if err != nil {
		t.Error(err)
	}
	answer := base64.RawURLEncoding.EncodeToString(text)
	if g.answer != nil {
		answer = g.answer(answer)
	}
	return answer
}

func (g *guestService) claims(t *testing.T) map[string]any {
	public := plain(t, "TpmEphemeralEncryptionKey", g.key)
	payload := map[string]any{}
	for name, value := range g.got.ClientPayload {
		payload[name] = base64.StdEncoding.EncodeToString(value)
	}
	claims := map[string]any{
		"iss": g.authority.Issuer(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 28800,
		"x-ms-attestation-type": "azurevm",
		"x-ms-runtime": map[string]any{"client-payload": payload, "keys": []any{
			map[string]any{"kid": "signing", "kty": "RSA", "n": "AQAB", "e": "AQAB", "key_ops": []string{"sign"}},
			map[string]any{"kid": public.Kid, "kty": "RSA", "n": public.N, "e": public.E, "key_ops": []string{"encrypt"}},
		}},
	}
	if isolation := g.got.IsolationInfo.Evidence; isolation != nil {
		claims["x-ms-isolation-tee"] = isolated(t, isolation)
	}
	if g.spoil != nil {
		g.spoil(claims)
	}
	return claims
}

func isolated(t *testing.T, e *isolationEvidence) map[string]any {
	if tdx.IsQuote(e.Proof) {
		claims := tdClaims(t, e.Proof)
		claims["x-ms-runtime"] = json.RawMessage(e.RunTimeData)
		return claims
	}
	var proof guestProof
	if err := json.Unmarshal(e.Proof, &proof); err != nil {
		t.Error(err)
	}
	report, err := base64.RawURLEncoding.DecodeString(proof.SnpReport)
	if err != nil || len(report) != snp.ReportSize {
		t.Fatalf("the report has %d bytes (%v)", len(report), err)
	}
	return map[string]any{
		"x-ms-attestation-type": "sevsnpvm", "x-ms-runtime": json.RawMessage(e.RunTimeData),
		"x-ms-sevsnpvm-reportdata": hex.EncodeToString(report[0x50:0x90]),
	}
}

func (g *guestService) seal(t *testing.T, token string) map[string]any {
	inner := make([]byte, 32)
	iv := make([]byte, 12)
	_, _ = rand.Read(inner)
	_, _ = rand.Read(iv)
	block, err := aes.NewCipher(inner)
	if err != nil {
		t.Error(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Error(err)
	}
	sealed := gcm.Seal(nil, iv, []byte(token), []byte("Transport Key"))
	wrapped, err := rsa.EncryptPKCS1v15(rand.Reader, g.sealTo, inner) //nolint:staticcheck // as the service does
	if err != nil {
		t.Error(err)
	}
	envelope := map[string]any{
		"EncryptedInnerKey":  wrapped,
		"EncryptionParams":   map[string]any{"Cipher": "AES", "BlockMode": "ChainingModeGCM", "BlockPadding": "PKCS7", "KeySizeInBits": 256, "Iv": iv},
		"AuthenticationData": sealed[len(sealed)-16:], "Jwt": sealed[:len(sealed)-16],
	}
	if g.envelope != nil {
		g.envelope(envelope)
	}
	return envelope
}

// The request equals the one that Azure's own client sends.
func TestGuestRequest(t *testing.T) {
	for _, confidential := range []bool{true, false} {
		g, runtime := newGuestService(t), []byte("any bytes")
		e := guestEvidence(t, confidential, runtime)
		result, err := g.client.Appraise(t.Context(), g.authority, e)
		if err != nil {
			t.Fatal(err)
		}
		if kind, _ := result.Claims.Text("x-ms-attestation-type"); kind != "azurevm" || g.query.Encode() != "api-version=2020-10-01" {
			t.Errorf("type %q, query %q", kind, g.query.Encode())
		}
		in := g.got
		if in.AttestationProtocolVersion != "2.0" || string(in.OSType) != "Linux" || string(in.OSBuild) != "NotApplication" || string(in.TcgLogs) != "log" {
			t.Errorf("sent %+v", in)
		}
		p := in.TpmInfo
		if string(p.AikPub) != "AK" || string(p.AikCert) != "certificate" || string(p.PcrQuote) != "quote" || string(p.EncKeyPub) != "public area" ||
			string(p.EncKeyCertifyInfo) != "certification" || len(p.PcrSet) != 2 || p.PcrSet[1] != 7 || p.PCRs[1].Digest[0] != 7 {
			t.Errorf("sent %+v", p)
		}
		kinds := map[bool]string{true: "SevSnp", false: "TrustedLaunch"}
		if in.IsolationInfo.Type != kinds[confidential] || (in.IsolationInfo.Evidence != nil) != confidential ||
			string(in.ClientPayload["runtime-data"]) != string(runtime) {
			t.Errorf("sent %+v, payload %q", in.IsolationInfo, in.ClientPayload)
		}
	}
}

// Each case changes one thing in an otherwise authentic answer.
func TestGuestTokenMustAnswerTheRequest(t *testing.T) {
	runtimeOf := func(c map[string]any) map[string]any { return c["x-ms-runtime"].(map[string]any) }
	payloadOf := func(c map[string]any) map[string]any { return runtimeOf(c)["client-payload"].(map[string]any) }
	teeOf := func(c map[string]any) map[string]any { return c["x-ms-isolation-tee"].(map[string]any) }
	spoil := func(f func(c map[string]any)) func(*guestService) { return func(g *guestService) { g.spoil = f } }
	for name, c := range map[string]struct {
		arrange func(*guestService)
		want    string
	}{
		"another type":          {spoil(func(c map[string]any) { c["x-ms-attestation-type"] = "sevsnpvm" }), "not about a virtual machine"},
		"another nonce":         {spoil(func(c map[string]any) { payloadOf(c)["nonce"] = "AAAA" }), "does not carry our nonce"},
		"no nonce":              {spoil(func(c map[string]any) { delete(payloadOf(c), "nonce") }), "does not carry our nonce"},
		"other runtime data":    {spoil(func(c map[string]any) { payloadOf(c)["runtime-data"] = "AAAA" }), "does not carry our runtime data"},
		"another key":           {func(g *guestService) { g.key = &rsaKeys()[0].PublicKey }, "does not carry the key"},
		"another key first":     {spoil(func(c map[string]any) { firstKey(runtimeOf(c)) }), "does not carry the key"},
		"no key":                {spoil(func(c map[string]any) { delete(runtimeOf(c), "keys") }), "does not carry the key"},
		"no runtime claims":     {spoil(func(c map[string]any) { delete(c, "x-ms-runtime") }), "does not carry our nonce"},
		"another report":        {spoil(func(c map[string]any) { teeOf(c)["x-ms-sevsnpvm-reportdata"] = "00" }), "about another report"},
		"claims of another VM":  {spoil(func(c map[string]any) { teeOf(c)["x-ms-runtime"] = map[string]any{} }), "about another report"},
		"another issuer":        {spoil(func(c map[string]any) { c["iss"] = "https://other" }), "issued by another authority"},
		"expired":               {spoil(times(-99, -99, -98)), "expired"},
		"sealed to another key": {func(g *guestService) { g.sealTo = &rsaKeys()[0].PublicKey }, "sealed to another key"},
		"altered": {func(g *guestService) {
			g.envelope = func(e map[string]any) { e["AuthenticationData"] = make([]byte, 16) }
		}, "envelope was altered"},
		"short IV": {func(g *guestService) {
			g.envelope = func(e map[string]any) { e["EncryptionParams"].(map[string]any)["Iv"] = make([]byte, 11) }
		}, "no envelope"},
		"not sealed": {func(g *guestService) { g.answer = func(string) string { return "eyJhbGciOiJub25lIn0.e30." } }, "no envelope"},
		"line break": {func(g *guestService) { g.answer = func(text string) string { return text[:8] + "\n" + text[8:] } }, "no envelope"},
		"far too long": {func(g *guestService) {
			g.answer = func(string) string { return strings.Repeat("A", maxGuestEnvelope+1) }
		}, "more than"},
		"long token": {spoil(func(c map[string]any) { c["filler"] = strings.Repeat("x", maxToken) }), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuestService(t)
			c.arrange(g)
			_, err := g.client.Appraise(t.Context(), g.authority, guestEvidence(t, true, []byte("{}")))
			if !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// firstKey puts another key before the TPM's key.
func firstKey(runtime map[string]any) {
	other, _ := json.Marshal(map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(rsaKeys()[0].N.Bytes()), "e": "AQAB", "use": "enc"})
	var key any
	_ = json.Unmarshal(other, &key)
	runtime["keys"] = append([]any{key}, runtime["keys"].([]any)...)
}

// Both alphabets are accepted, with and without padding: the service does not document which it uses.
func TestGuestEnvelopeAlphabets(t *testing.T) {
	g := newGuestService(t)
	g.envelope = func(e map[string]any) {
		for _, member := range []string{"Jwt", "EncryptedInnerKey", "AuthenticationData"} {
			e[member] = base64.RawURLEncoding.EncodeToString(e[member].([]byte))
		}
	}
	g.answer = func(text string) string { return text + strings.Repeat("=", (4-len(text)%4)%4) }
	if _, err := g.client.Appraise(t.Context(), g.authority, guestEvidence(t, false, nil)); err != nil {
		t.Error(err)
	}
}

// A fault of the TPM is not reported as a fault of the authority.
func TestGuestKeyFault(t *testing.T) {
	g, e := newGuestService(t), guestEvidence(t, false, nil)
	for _, kind := range []*refusal.Kind{refusal.NoEvidence, refusal.Throttled} {
		e.Guest.Key = guestKey{rsaKeys()[1], refusal.Newf(kind, "the TPM says no")}
		if _, err := g.client.Appraise(t.Context(), g.authority, e); !errors.Is(err, kind) || errors.Is(err, refusal.Untrusted) {
			t.Errorf("%s: error %v", kind, err)
		}
	}
}

package maa

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"skr/attest"
	"skr/attest/tdx"
	"skr/attest/vtpm"
	"skr/internal/refusal"
	"skr/test/tdxtest"
	"skr/test/vtpmtest"
)

// tdQuote returns a quote of a TD over data.
func tdQuote(t testing.TB, data []byte) *tdx.Quote {
	t.Helper()
	vendor, err := tdxtest.NewVendor(now)
	if err != nil {
		t.Fatal(err)
	}
	platform, err := vendor.NewPlatform(tdxtest.PlatformOptions{})
	if err != nil {
		t.Fatal(err)
	}
	td := tdxtest.TD{MRTD: tdx.Measurement{1, 2}, MRSEAM: tdx.Measurement{3}, ReportData: tdx.Bind(data)}
	raw, err := platform.Quote(td.Report(), tdxtest.QuoteOptions{Version: 5})
	if err != nil {
		t.Fatal(err)
	}
	q, err := tdx.ParseQuote(raw)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// tdClaims are the claims of Azure Attestation about a quote.
func tdClaims(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	q, err := tdx.ParseQuote(raw)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"x-ms-attestation-type": "tdxvm", "tdx_report_data": q.ReportData().String(), "tdx_mrtd": q.MRTD().String(), "tdx_mrseam": q.MRSEAM().String(),
	}
}

// tdGuest returns evidence of a TDX machine with a virtual TPM.
func tdGuest(t testing.TB, runtime []byte) *attest.Evidence {
	t.Helper()
	e := guestEvidence(t, false, runtime)
	claims := vtpmtest.Claims(&rsaKeys()[0].PublicKey, true)
	hcl, err := vtpm.ParseHCL(vtpmtest.TDXHCL(tdxtest.TD{}, claims, vtpmtest.HCLOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	e.Guest.HCL, e.TDQuote = hcl, tdQuote(t, claims)
	return e
}

// The request has the bare quote in place of the report and its chain.
func TestGuestRequestOfTDX(t *testing.T) {
	g := newGuestService(t)
	e := tdGuest(t, []byte("any bytes"))
	if _, err := g.client.Appraise(t.Context(), g.authority, e); err != nil {
		t.Fatal(err)
	}
	sent := g.got.IsolationInfo
	if sent.Type != "Tdx" || string(sent.Evidence.Proof) != string(e.TDQuote.Raw()) || string(sent.Evidence.RunTimeData) != string(e.Guest.HCL.Claims().Raw()) {
		t.Errorf("sent %s with %d bytes", sent.Type, len(sent.Evidence.Proof))
	}
}

// Each case changes one claim in an otherwise authentic answer.
func TestGuestTokenOfTDXMustAnswerTheRequest(t *testing.T) {
	teeOf := func(c map[string]any) map[string]any { return c["x-ms-isolation-tee"].(map[string]any) }
	for claim, value := range map[string]any{
		"tdx_report_data": strings.Repeat("0", 128), "tdx_mrtd": strings.Repeat("0", 96), "tdx_mrseam": strings.Repeat("0", 96),
		"x-ms-attestation-type": "sevsnpvm", "x-ms-runtime": map[string]any{},
	} {
		g := newGuestService(t)
		g.spoil = func(c map[string]any) { teeOf(c)[claim] = value }
		_, err := g.client.Appraise(t.Context(), g.authority, tdGuest(t, nil))
		if !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), "about another report") {
			t.Errorf("%s: error %v", claim, err)
		}
	}
}

// tdService serves TdxVm. Tests can alter its claims.
func tdService(t *testing.T, got *tdRequest) *service {
	s := newService(t)
	s.intercepts["/attest/TdxVm"] = func(w http.ResponseWriter, r *http.Request) {
		s.query = r.URL.Query()
		if err := json.NewDecoder(r.Body).Decode(got); err != nil {
			t.Error(err)
		}
		quote, _ := base64.RawURLEncoding.DecodeString(got.Quote)
		runtime, _ := base64.RawURLEncoding.DecodeString(got.RuntimeData.Data)
		claims := tdClaims(t, quote)
		for name, value := range map[string]any{
			"iss": s.authority.Issuer(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 28800,
			"nonce": got.Nonce, "x-ms-runtime": json.RawMessage(runtime),
		} {
			claims[name] = value
		}
		if s.spoil != nil {
			s.spoil(claims)
		}
		token, err := s.token(claims)
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
	}
	return s
}

func TestTDRequest(t *testing.T) {
	var got tdRequest
	s := tdService(t, &got)
	e := &attest.Evidence{RuntimeData: []byte(runtimeData), TDQuote: tdQuote(t, []byte(runtimeData))}
	result, err := s.client.Appraise(t.Context(), s.authority, e)
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := result.Claims.Text("x-ms-attestation-type")
	if kind != "tdxvm" || s.query.Encode() != "api-version=2025-06-01" || got.RuntimeData.DataType != "JSON" || got.Nonce == "" {
		t.Errorf("type %q, query %q, sent %+v", kind, s.query.Encode(), got)
	}
	if _, err := s.client.Appraise(t.Context(), s.authority, &attest.Evidence{RuntimeData: []byte("x"), TDQuote: e.TDQuote}); !errors.Is(err, refusal.BadRequest) {
		t.Errorf("runtime data that are no JSON object: error %v", err)
	}
}

func TestTDTokenMustAnswerTheRequest(t *testing.T) {
	data := []byte(runtimeData)
	e := &attest.Evidence{RuntimeData: data, TDQuote: tdQuote(t, data)}
	for name, c := range map[string]struct {
		spoil func(c map[string]any)
		want  string
	}{
		"another type":       {func(c map[string]any) { c["x-ms-attestation-type"] = "sevsnpvm" }, "not about a TDX machine"},
		"another nonce":      {func(c map[string]any) { c["nonce"] = "other" }, "does not carry our nonce"},
		"no nonce":           {func(c map[string]any) { delete(c, "nonce") }, "does not carry our nonce"},
		"other runtime data": {func(c map[string]any) { c["x-ms-runtime"] = map[string]any{"keys": []any{}} }, "does not carry our runtime data"},
		"no runtime data":    {func(c map[string]any) { delete(c, "x-ms-runtime") }, "does not carry our runtime data"},
		"another REPORTDATA": {func(c map[string]any) { c["tdx_report_data"] = "00" }, "about another quote"},
		"another MRTD":       {func(c map[string]any) { c["tdx_mrtd"] = "00" }, "about another quote"},
		"another issuer":     {func(c map[string]any) { c["iss"] = "https://other" }, "issued by another authority"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tdService(t, new(tdRequest))
			s.spoil = c.spoil
			if _, err := s.client.Appraise(t.Context(), s.authority, e); !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

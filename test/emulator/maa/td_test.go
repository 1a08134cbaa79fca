package maa_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"skr/attest/tdx"
	"skr/attest/vtpm"
	"skr/test/azureguest"
	"skr/test/emulator/maa"
	"skr/test/samples"
	"skr/test/swtpm"
	"skr/test/tdxtest"
)

const tdPath = "/attest/TdxVm?api-version=2025-06-01"

// intelHost is an emulated Intel with a platform and an instance that trusts it.
type intelHost struct {
	vendor   *tdxtest.Vendor
	platform *tdxtest.Platform
	config   maa.Config
}

func newIntelHost(t *testing.T) *intelHost {
	t.Helper()
	vendor, err := tdxtest.NewVendor(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	platform, err := vendor.NewPlatform(tdxtest.PlatformOptions{})
	if err != nil {
		t.Fatal(err)
	}
	roots, err := tdx.ParseRoots(vendor.RootsPEM())
	if err != nil {
		t.Fatal(err)
	}
	return &intelHost{vendor, platform, maa.Config{Issuer: issuer, TDX: maa.TDX{Roots: []*tdx.Roots{tdx.BuiltinRoots(), roots}}}}
}

func (h *intelHost) quote(t testing.TB, report []byte) []byte {
	t.Helper()
	quote, err := h.platform.Quote(report, tdxtest.QuoteOptions{Version: 5})
	if err != nil {
		t.Fatal(err)
	}
	return quote
}

// tdRequest is a request to TdxVm.
func tdRequest(t testing.TB, quote, claims []byte) []byte {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(map[string]any{"quote": encode(quote), "runtimeData": map[string]string{"data": encode(claims), "dataType": "JSON"}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func refusalOf(answer *httptest.ResponseRecorder) string {
	var refusal struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &refusal) // "" fails the comparison
	return refusal.Error.Code + ": " + refusal.Error.Message
}

func tdClaims(t *testing.T, answer *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var wire struct{ Token string }
	if err := json.Unmarshal(answer.Body.Bytes(), &wire); err != nil || answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	return object(t, splitToken(t, wire.Token).payload)
}

// TestTDForgeries checks that each false quote is refused, or that the token tells what the
// instance cannot judge: it has no TD report to compare with, and attributes are claims.
func TestTDForgeries(t *testing.T) {
	h := newIntelHost(t)
	instance := newInstance(t, h.config)
	claims := []byte(`{"keys":[]}`)
	report := tdxtest.TD{MRTD: tdx.Measurement{1}, ReportData: tdx.Bind(claims)}.Report()
	good := tdClaims(t, post(instance, tdPath, tdRequest(t, h.quote(t, report), claims)))
	for _, f := range tdxtest.Forgeries() {
		t.Run(f.Name, func(t *testing.T) {
			quote, err := f.Quote(h.vendor, h.platform, report, tdxtest.QuoteOptions{Version: 5})
			if err != nil {
				t.Fatal(err)
			}
			answer := post(instance, tdPath, tdRequest(t, quote, claims))
			if f.Tells != "" {
				if told := tdClaims(t, answer); told[f.Tells] == good[f.Tells] {
					t.Errorf("%s is %v, as in a good token", f.Tells, told[f.Tells])
				}
				return
			}
			want := f.Text
			switch {
			case f.Name == "empty":
				want = "The quote is required"
			case errors.Is(f.Err, tdx.ErrNotBound):
				want = "does not match the REPORTDATA"
			}
			got := refusalOf(answer)
			if answer.Code != http.StatusBadRequest || !strings.HasPrefix(got, "InvalidParameter: ") || !strings.Contains(got, want) {
				t.Errorf("status %d, %s, want %q", answer.Code, got, want)
			}
		})
	}
}

// TestTDRequests checks the form of requests to TdxVm.
func TestTDRequests(t *testing.T) {
	h := newIntelHost(t)
	claims := []byte(`{"keys":[]}`)
	quote := base64.RawURLEncoding.EncodeToString(h.quote(t, tdxtest.TD{ReportData: tdx.Bind(claims)}.Report()))
	denying := h.config
	denying.Policy = "version=1.0;authorizationrules{=>deny();};"
	for name, c := range map[string]struct{ body, query, want string }{
		"no version":    {`{"quote":"` + quote + `"}`, "", "api-version is required"},
		"no JSON":       {"x", "", "api-version"},
		"no object":     {"[]", "?api-version=2025-06-01", "not a JSON object"},
		"no quote":      {"{}", "?api-version=2025-06-01", "The quote is required"},
		"standard":      {`{"quote":"+/=="}`, "?api-version=2025-06-01", "Unknown base64 character"},
		"other claims":  {`{"quote":"` + quote + `","runtimeData":{"data":"e30","dataType":"JSON"}}`, "?api-version=2025-06-01", "does not match the REPORTDATA"},
		"initTimeData":  {`{"quote":"` + quote + `","initTimeData":{"data":"e30","dataType":"JSON"}}`, "?api-version=2025-06-01", "initTimeData"},
		"draft policy":  {`{"quote":"` + quote + `","draftPolicyForAttestation":"x"}`, "?api-version=2025-06-01", "draftPolicyForAttestation"},
		"a bad nonce":   {`{"quote":"` + quote + `","nonce":{}}`, "?api-version=2025-06-01", "nonce"},
		"a bad runtime": {`{"quote":"` + quote + `","runtimeData":{"data":"eA","dataType":"JSON"}}`, "?api-version=2025-06-01", "runtimeData"},
	} {
		answer := post(newInstance(t, h.config), "/attest/TdxVm"+c.query, []byte(c.body))
		if got := refusalOf(answer); answer.Code != http.StatusBadRequest || !strings.Contains(got, c.want) {
			t.Errorf("%s: status %d, %s, want %q", name, answer.Code, got, c.want)
		}
	}
	answer := post(newInstance(t, denying), tdPath, []byte(`{"quote":"`+quote+`"}`))
	if got := refusalOf(answer); !strings.HasPrefix(got, "PolicyEvaluationError") {
		t.Errorf("denied with %s", got)
	}
}

// TestTDCollateral checks what the platform's collateral does to a token.
func TestTDCollateral(t *testing.T) {
	h := newIntelHost(t)
	claims := []byte(`{"keys":[]}`)
	body := tdRequest(t, h.quote(t, tdxtest.TD{ReportData: tdx.Bind(claims)}.Report()), claims)
	for _, f := range tdxtest.CollateralForgeries() {
		config := h.config
		config.TDX.Collateral = func(*tdx.Quote) (*tdx.Collateral, error) {
			made, err := f.Collateral(h.vendor, h.platform, tdxtest.CollateralOptions{})
			if err != nil {
				return nil, err
			}
			bundle, err := made.Bundle()
			if err != nil {
				return nil, err
			}
			return tdx.ParseCollateral(bundle)
		}
		answer := post(newInstance(t, config), tdPath, body)
		if errors.Is(f.Err, tdx.ErrTCBStatus) || errors.Is(f.Err, tdx.ErrNoCollateral) { // levels are claims; dates are not compared
			status, _ := tdClaims(t, answer)["attester_tcb_status"].(string)
			if want := strings.Fields(f.Text)[0]; errors.Is(f.Err, tdx.ErrTCBStatus) && status != want {
				t.Errorf("%s: attester_tcb_status %q, want %q", f.Name, status, want)
			}
			continue
		}
		if got := refusalOf(answer); answer.Code != http.StatusBadRequest || !strings.Contains(got, f.Text) {
			t.Errorf("%s: status %d, %s, want %q", f.Name, answer.Code, got, f.Text)
		}
	}
}

// TestTDXGuest checks AzureGuest with the isolation Tdx.
func TestTDXGuest(t *testing.T) {
	h := newIntelHost(t)
	g := &guest{machine: sharedMachine(t)}
	g.vtpm = swtpm.Require(t, swtpm.Config{Authority: sharedAuthority(t), TDReport: func(data tdx.ReportData) ([]byte, error) {
		return tdxtest.TD{MRTD: tdx.Measurement{1}, ReportData: data}.Report(), nil
	}})
	g.Guest = azureguest.New(t, g.vtpm.Address())
	g.Log, g.Quote = g.vtpm.EventLog(), h.quote
	h.config.TDX.Compliant = func(m tdx.Measurement) bool { return m == tdx.Measurement{1} }
	instance := g.guestInstance(t, h.config)
	info := g.Info(t)
	claims := g.attest(t, instance, info.Body(t))
	inner, _ := claims["x-ms-isolation-tee"].(map[string]any)
	if claims["x-ms-attestation-type"] != "azurevm" || claims["secureboot"] != true || claims["x-ms-azurevm-vmid"] != g.vtpm.VMID() ||
		inner["x-ms-attestation-type"] != "tdxvm" || inner["x-ms-compliance-status"] != "azure-compliant-cvm" {
		t.Errorf("claims %v", claims)
	}
	checkRuntime(t, g, claims, info)
	other := tdxtest.TD{ReportData: tdx.Bind([]byte(`{"keys":[]}`))}.Report()
	for name, c := range map[string]struct {
		change func(*azureguest.Info)
		want   string
	}{
		"a bit of the quote":  {func(i *azureguest.Info) { i.IsolationInfo.Evidence.Proof[200] ^= 1 }, "TDX quote cannot be verified"},
		"no quote":            {func(i *azureguest.Info) { i.IsolationInfo.Evidence.Proof = []byte("quote") }, "The Proof is malformed"},
		"a bit of the claims": {func(i *azureguest.Info) { i.IsolationInfo.Evidence.RunTimeData[20] ^= 1 }, "does not match the REPORTDATA"},
		"another TD's quote":  {func(i *azureguest.Info) { i.IsolationInfo.Evidence.Proof = h.quote(t, other) }, "does not match the REPORTDATA"},
		"another TD's claims": {func(i *azureguest.Info) { i.SetQuote(h.quote(t, other), []byte(`{"keys":[]}`)) }, "0 keys HCLAkPub"},
		"as SEV-SNP":          {func(i *azureguest.Info) { i.IsolationInfo.Type = "SevSnp" }, "Proof"},
		"no evidence":         {func(i *azureguest.Info) { i.IsolationInfo.Evidence = nil }, "must have Evidence"},
	} {
		changed := info.Clone(t)
		c.change(changed)
		answer := post(instance, azureguest.Path, changed.Body(t))
		if got := refusalOf(answer); answer.Code != http.StatusBadRequest || !strings.Contains(got, c.want) {
			t.Errorf("%s: status %d, %s, want %q", name, answer.Code, got, c.want)
		}
	}
}

// TestRealQuotes checks that genuine quotes of Azure's machines get tokens with their values.
func TestRealQuotes(t *testing.T) {
	for quoteFile, hclFile := range map[string]string{
		"flashbots-2025-12-td-quote-v4.bin": "flashbots-2025-12-hcl-report.bin",
		"trustee-td-quote-v4.bin":           "trustee-hcl-report.bin",
	} {
		checkRealQuote(t, "tdx/"+quoteFile, "tdx/"+hclFile)
	}
	checkRealQuote(t, "turn2/12-tdx-messages/td-quote.bin", "turn2/12-tdx-messages/hcl-report.bin")
}

func checkRealQuote(t *testing.T, quoteFile, hclFile string) {
	t.Helper()
	hcl, err := vtpm.ParseHCL(samples.Read(t, hclFile))
	if err != nil {
		t.Fatal(err)
	}
	instance := newInstance(t, maa.Config{Issuer: issuer, TDX: maa.TDX{Roots: []*tdx.Roots{tdx.BuiltinRoots()}}})
	claims := tdClaims(t, post(instance, tdPath, tdRequest(t, samples.Read(t, quoteFile), hcl.Claims().Raw())))
	if claims["tdx_mrtd"] != hcl.TDReport().MRTD().String() || claims["tdx_report_data"] != tdx.Bind(hcl.Claims().Raw()).String() {
		t.Errorf("%s: claims %v", quoteFile, claims)
	}
	if status, has := claims["attester_tcb_status"]; has {
		t.Errorf("%s: the emulator knows the level %v of a platform that is not its own", quoteFile, status)
	}
}

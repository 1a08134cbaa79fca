package emulator_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/attest/tdx"
	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/emulator/imds"
	"skr/test/swtpm"
	"skr/test/tdxtest"
)

// tdxVM are the conditions that a machine with TDX meets.
var tdxVM = []condition{
	{"x-ms-attestation-type", "azurevm"},
	{"x-ms-isolation-tee.x-ms-attestation-type", "tdxvm"},
	{"x-ms-isolation-tee.x-ms-compliance-status", "azure-compliant-cvm"},
	{"x-ms-isolation-tee.tdx_td_attributes_debug", "false"},
	{"secureboot", "true"},
}

// quote gets a quote as a client on Azure does.
func (v *vm) quote(t testing.TB, report []byte) []byte {
	t.Helper()
	status, answer := v.askQuote(t, "application/json", report)
	var wire struct{ Quote string }
	if err := json.Unmarshal(answer, &wire); err != nil || status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	quote, err := base64.RawURLEncoding.DecodeString(wire.Quote)
	if err != nil {
		t.Fatal(err)
	}
	return quote
}

func (v *vm) askQuote(t testing.TB, contentType string, report []byte) (int, []byte) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"report": base64.RawURLEncoding.EncodeToString(report)})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.env["SKR_IMDS_URL"]+imds.QuotePath, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := v.cloud.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// tdReport returns the machine's TD report and the claims that it binds.
func (v *vm) tdReport(t *testing.T) (*tdx.Report, []byte) {
	t.Helper()
	index, err := v.TPM.ReadIndex(t.Context(), tpm.HCLReport)
	must(t, err)
	hcl, err := vtpm.ParseHCL(index)
	must(t, err)
	must(t, hcl.CheckBound())
	return hcl.TDReport(), hcl.Claims().Raw()
}

// startTDX starts a cloud whose first machine has TDX.
func startTDX(t *testing.T, c emulator.Config) (*emulator.Cloud, *vm) {
	t.Helper()
	swtpm.Need(t)
	c.Machine.Platform = emulator.TDX
	cloud := start(t, c)
	return cloud, newVM(t, cloud, cloud.Machine())
}

// TestQuotesOfHost checks that the host quotes its own TDs' reports in each layout, that only its
// own root leads to them, and that it refuses other reports and content types.
func TestQuotesOfHost(t *testing.T) {
	cloud, v := startTDX(t, emulator.Config{})
	roots, err := tdx.ParseRoots(readFile(t, v.env["SKR_INTEL_ROOTS"]))
	must(t, err)
	report, claims := v.tdReport(t)
	for _, version := range []uint16{4, 5} {
		cloud.UpdateIntel(func(c *emulator.IntelConfig) { c.Quote.Version = version })
		raw := v.quote(t, report.Raw())
		quote, err := tdx.ParseQuote(raw)
		must(t, err)
		must(t, quote.CheckReport(report))
		verification := tdx.Verification{Roots: roots, ReportData: tdx.Bind(claims), Now: time.Now()}
		_, err = quote.Verify(verification)
		must(t, err)
		if verification.Roots = nil; quote.Version() != version || len(raw)-len(quote.Raw()) != map[uint16]int{4: 70}[version] {
			t.Errorf("version %d, %d bytes of padding", quote.Version(), len(raw)-len(quote.Raw()))
		}
		if _, err = quote.Verify(verification); err == nil {
			t.Error("the quote leads to Intel's own root")
		}
	}
	foreign := report.Raw()
	foreign[224] ^= 1 // the MAC
	for _, c := range []struct {
		name, contentType string
		report            []byte
		status            int
	}{
		{"good", "application/json", report.Raw(), http.StatusOK},
		{"with a charset", "application/json; charset=utf-8", report.Raw(), http.StatusUnsupportedMediaType},
		{"no content type", "", report.Raw(), http.StatusUnsupportedMediaType},
		{"another MAC", "application/json", foreign, http.StatusBadRequest},
		{"the whole field of the HCL report", "application/json", append(report.Raw(), make([]byte, 160)...), http.StatusBadRequest},
		{"of another platform", "application/json", tdxtest.TD{}.Report(), http.StatusBadRequest},
	} {
		if status, answer := v.askQuote(t, c.contentType, c.report); status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, status, c.status, answer)
		}
	}
	if n := cloud.Faults().Requests(emulator.ServiceQuote); n != 8 {
		t.Errorf("%d requests for quotes, want 8", n)
	}
}

// TestCollateralOfHost checks that Intel's service and both of Azure's caches serve the platform's
// collateral, and that it says what the cloud's configuration says.
func TestCollateralOfHost(t *testing.T) {
	cloud, v := startTDX(t, emulator.Config{})
	report, claims := v.tdReport(t)
	quote, err := tdx.ParseQuote(v.quote(t, report.Raw()))
	must(t, err)
	roots, err := tdx.ParseRoots(readFile(t, v.env["SKR_INTEL_ROOTS"]))
	must(t, err)
	status := func(base string) tdx.Status {
		source := tdx.NewServiceSource(cloud.HTTPClient(), base, base, v.env["SKR_INTEL_ROOT_CRL_URL"])
		collateral, err := tdx.Find(t.Context(), []tdx.Source{source}, quote, roots, time.Now())
		must(t, err)
		policy, err := tdx.ParsePolicy("UpToDate", "OutOfDate")
		must(t, err)
		result, err := quote.Verify(tdx.Verification{Roots: roots, ReportData: tdx.Bind(claims), Collateral: collateral, Policy: policy, Now: time.Now()})
		must(t, err)
		return result.Level.Status
	}
	region := strings.Replace(v.env["SKR_PCS_URL"], "api.trustedservices", "useast.thim", 1)
	for _, want := range []tdx.Status{tdx.UpToDate, tdx.OutOfDate} {
		for _, base := range []string{v.env["SKR_PCCS_URL"], v.env["SKR_PCS_URL"], region} {
			if got := status(base); got != want {
				t.Errorf("%s: %s, want %s", base, got, want)
			}
		}
		cloud.UpdateIntel(func(c *emulator.IntelConfig) { c.Collateral.TCBInfo = tdxtest.OutOfDate })
	}
	for service, want := range map[string]int{emulator.ServicePCCS: 6, emulator.ServicePCS: 12, emulator.ServiceRegionTHIM: 6} {
		if n := cloud.Faults().Requests(service); n != want {
			t.Errorf("%s: %d requests, want %d", service, n, want)
		}
	}
}

// TestClaimsOfTDX checks the token of a machine with TDX against its quote.
func TestClaimsOfTDX(t *testing.T) {
	attributes := tdx.Attributes(1<<28 | 1<<30)
	cloud, v := startTDX(t, emulator.Config{Machine: emulator.MachineConfig{TD: tdxtest.TD{Attributes: &attributes, MRSEAM: tdx.Measurement{1}}}})
	report, claims := v.tdReport(t)
	body, err := json.Marshal(map[string]any{
		"quote": base64.RawURLEncoding.EncodeToString(v.quote(t, report.Raw())), "nonce": "n",
		"runtimeData": map[string]string{"data": base64.RawURLEncoding.EncodeToString(claims), "dataType": "JSON"},
	})
	must(t, err)
	status, answer := postJSON(t, cloud, "https://"+cloud.AttestationHost()+"/attest/TdxVm?api-version=2025-06-01", "", body)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	direct := tokenClaims(t, answer)
	_, sealed := v.attest(t)
	token, err := v.Open(t, sealed)
	must(t, err)
	inner, _ := claimsOf(t, token)["x-ms-isolation-tee"].(map[string]any)
	var runtime map[string]any
	must(t, json.Unmarshal(claims, &runtime))
	zero := strings.Repeat("0", 96)
	want := map[string]any{
		"x-ms-attestation-type": "tdxvm", "x-ms-compliance-status": "azure-compliant-cvm", "attester_tcb_status": "UpToDate", "dbgstat": "disabled",
		"eat_profile": "https://aka.ms/maa-eat-profile-tdxvm", "intuse": "generic", "x-ms-runtime": runtime,
		"tdx_mrtd": report.MRTD().String(), "tdx_mrseam": "01" + zero[2:], "tdx_mrsignerseam": zero, "tdx_mrconfigid": zero, "tdx_mrowner": zero,
		"tdx_mrownerconfig": zero, "tdx_rtmr0": zero, "tdx_rtmr1": zero, "tdx_rtmr2": zero, "tdx_rtmr3": zero, "tdx_seamsvn": 7.0,
		"tdx_report_data": tdx.Bind(claims).String(), "tdx_tee_tcb_svn": "07010300000000000000000000000000",
		"tdx_seam_attributes": "0000000000000000", "tdx_td_attributes": "0000005000000000", "tdx_xfam": "e718060000000000",
		"tdx_td_attributes_debug": false, "tdx_td_attributes_key_locker": false, "tdx_td_attributes_perfmon": false,
		"tdx_td_attributes_protection_keys": true, "tdx_td_attributes_septve_disable": true,
	}
	if diff := cmp.Diff(want, inner); diff != "" {
		t.Errorf("x-ms-isolation-tee (-want +got):\n%s", diff)
	}
	for name, value := range want {
		if diff := cmp.Diff(value, direct[name]); diff != "" {
			t.Errorf("%s of TdxVm (-want +got):\n%s", name, diff)
		}
	}
	if direct["nonce"] != "n" || direct["x-ms-ver"] != "1.0" {
		t.Errorf("claims of TdxVm: %v", direct)
	}
}

// TestTDXThatIsRefused checks machines that differ in one thing from a machine that gets the key.
func TestTDXThatIsRefused(t *testing.T) {
	debug := tdx.Attributes(1<<28 | 1)
	cloud, v := startTDX(t, emulator.Config{})
	vault := createVMKey(t, cloud, append(slices.Clip(tdxVM), condition{"x-ms-isolation-tee.attester_tcb_status", "UpToDate"})...)
	if status, text, _ := v.release(t, vault); status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	for _, c := range []struct {
		name   string
		config emulator.MachineConfig
		update func(*emulator.IntelConfig)
		status int
		text   string
	}{
		{name: "secure-boot-off", config: emulator.MachineConfig{SecureBootOff: true}, status: http.StatusForbidden, text: "does not meet"},
		{name: "debug", config: emulator.MachineConfig{TD: tdxtest.TD{Attributes: &debug}}, status: http.StatusForbidden, text: "does not meet"},
		{name: "not-compliant", config: emulator.MachineConfig{Unendorsed: true, TD: tdxtest.TD{MRTD: tdx.Measurement{1}}},
			status: http.StatusForbidden, text: "does not meet"},
		{name: "snp", config: emulator.MachineConfig{Platform: emulator.ConfidentialVM}, status: http.StatusForbidden, text: "does not meet"},
		{name: "out-of-date", update: func(c *emulator.IntelConfig) { c.Collateral.TCBInfo = tdxtest.OutOfDate },
			status: http.StatusForbidden, text: "does not meet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.config.Platform == "" {
				c.config.Platform = emulator.TDX
			}
			machine, err := cloud.AddMachine(c.name, c.config)
			must(t, err)
			if c.update != nil {
				cloud.UpdateIntel(c.update)
			}
			status, text, _ := newVM(t, cloud, machine).release(t, vault)
			if status != c.status || !strings.Contains(string(text), c.text) {
				t.Errorf("status %d, want %d with %q: %.300s", status, c.status, c.text, text)
			}
		})
	}
}

// TestFaultsOfQuotes checks that faults act on the endpoint of quotes.
func TestFaultsOfQuotes(t *testing.T) {
	cloud, v := startTDX(t, emulator.Config{})
	report, _ := v.tdReport(t)
	must(t, cloud.Faults().Add(fault.Rule{Service: emulator.ServiceQuote, Do: fault.Status, Status: 503, Count: 1}))
	if status, _ := v.askQuote(t, "application/json", report.Raw()); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	v.quote(t, report.Raw())
}

// tokenClaims returns the claims of a token in MAA's answer. Another test verifies tokens.
func tokenClaims(t *testing.T, answer []byte) map[string]any {
	t.Helper()
	var wire struct{ Token string }
	must(t, json.Unmarshal(answer, &wire))
	return claimsOf(t, wire.Token)
}

func claimsOf(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	must(t, json.Unmarshal(payload, &claims))
	return claims
}

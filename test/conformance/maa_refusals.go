package conformance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

const stableMAA = "2022-08-01"

// versionsMAA are the api-versions that clients in use send.
var versionsMAA = []string{"2020-10-01", stableMAA, "2022-09-01-preview", "2023-04-01-preview", "2025-06-01"}

const (
	snpPath   = "/attest/SevSnpVm"
	tdxPath   = "/attest/TdxVm"
	guestPath = "/attest/AzureGuest"
)

func attestation(path, api string, body any) request {
	return request{method: http.MethodPost, path: path, api: api, body: body}
}

// encoded returns the JSON of a value in base64url.
func encoded(value any) string {
	text, _ := json.Marshal(value) // maps of strings
	return base64.RawURLEncoding.EncodeToString(text)
}

// refusalChecks send what is no evidence.
func refusalChecks() []check {
	bad := refused(http.StatusBadRequest, "InvalidParameter")
	report := func(snpReport string) map[string]any {
		return map[string]any{"report": encoded(map[string]string{"SnpReport": snpReport, "VcekCertChain": ""})}
	}
	zeros := base64.RawURLEncoding.EncodeToString(make([]byte, 1184))
	text := attestation(snpPath, stableMAA, rawBody("{}"))
	text.header = map[string]string{"Content-Type": "text/plain"}
	wrong := want{status: []int{http.StatusBadRequest}}
	unknown := want{status: []int{http.StatusBadRequest, http.StatusNotFound}}
	checks := []check{
		{name: "evidence: no body", source: docMAAError + ", 400", run: one(attestation(snpPath, stableMAA, nil), bad)},
		{name: "evidence: not JSON", source: docMAAError + ", 400", run: one(attestation(snpPath, stableMAA, rawBody("{not JSON")), bad)},
		{name: "evidence: no report", source: specMAA + ", AttestSevSnpVmRequest: report is required",
			run: one(attestation(snpPath, stableMAA, rawBody("{}")), bad)},
		{name: "evidence: standard base64", source: unconfirmed + "400; the Azure guest attestation SDK has the text 'Unknown base64 character'",
			run: one(attestation(snpPath, stableMAA, map[string]string{"report": "++//"}), bad)},
		{name: "evidence: a short report", source: docMAAError + ", 400", run: one(attestation(snpPath, stableMAA, report("AAAA")), bad)},
		{name: "evidence: an unsigned report", source: docMAAError + ", 400", run: one(attestation(snpPath, stableMAA, report(zeros)), bad)},
		{name: "evidence: content type text/plain", source: unconfirmed + "400 or 415, and no token",
			run: one(text, want{status: []int{http.StatusBadRequest, http.StatusUnsupportedMediaType}})},
		{name: "evidence: an unknown type", source: unconfirmed + "400 or 404", run: one(attestation("/attest/NoSuchType", stableMAA, rawBody("{}")), unknown)},
		{name: "evidence: GET", source: unconfirmed + "404 or 405", run: one(request{method: http.MethodGet, path: snpPath, api: stableMAA},
			want{status: []int{http.StatusNotFound, http.StatusMethodNotAllowed}})},
		{name: "path in upper case", source: "two of Azure's clients spell it in other ways",
			run: one(attestation(strings.ToUpper(snpPath), stableMAA, rawBody("{}")), bad)},
		{name: "no api-version", source: unconfirmed + "400", run: one(attestation(snpPath, "", rawBody("{}")), wrong)},
		{name: "malformed api-version", source: unconfirmed + "400", run: one(attestation(snpPath, "latest", rawBody("{}")), wrong)},
		{name: "code of an error in a header", source: specMAA + ", 2025-06-01: x-ms-error-code",
			run: one(attestation(snpPath, "2025-06-01", rawBody("{}")), bad.with(map[string]string{"X-Ms-Error-Code": "^InvalidParameter$"}))},
	}
	for _, version := range versionsMAA {
		checks = append(checks, check{name: "api-version " + version, source: "clients in use send it; " + specMAA,
			run: one(attestation(snpPath, version, rawBody("{}")), bad)})
	}
	return checks
}

// guestChecks send what is no evidence of a virtual machine with a TPM, or of TDX.
func guestChecks() []check {
	bad := refused(http.StatusBadRequest, "InvalidParameter")
	return []check{
		{name: "guest evidence: no AttestationInfo", source: specMAA + ", AttestAzureGuestRequest",
			run: one(attestation(guestPath, "2020-10-01", rawBody("{}")), bad)},
		{name: "guest evidence: not base64url", source: specMAA + ", AttestAzureGuestRequest",
			run: one(attestation(guestPath, "2020-10-01", map[string]string{"AttestationInfo": "?"}), bad)},
		{name: "guest evidence: no members", source: specMAA + ", AttestAzureGuestRequest",
			run: one(attestation(guestPath, "2020-10-01", map[string]string{"AttestationInfo": encoded(map[string]string{})}), bad)},
		{name: "TDX evidence: no quote", source: specMAA + ", AttestTdxVmRequest", run: one(attestation(tdxPath, "2025-06-01", rawBody("{}")), bad)},
		{name: "TDX evidence: not a quote", source: specMAA + ", AttestTdxVmRequest",
			run: one(attestation(tdxPath, "2025-06-01", map[string]string{"quote": "AAAA"}), bad)},
	}
}

package maa_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/attest/tdx"
	"skr/test/emulator/maa"
	"skr/test/tdxtest"
)

// TestPolicyOfEachType checks that a policy holds for its type of evidence only, whatever the
// capitals of its name, until it is reset, and that nothing changes without an access token.
func TestPolicyOfEachType(t *testing.T) {
	h := newIntelHost(t)
	h.config.Authorize = func(token string) error {
		if token != "mine" {
			return errors.New("not mine")
		}
		return nil
	}
	instance := newInstance(t, h.config)
	claims := []byte(`{"keys":[]}`)
	body := tdRequest(t, h.quote(t, tdxtest.TD{ReportData: tdx.Bind(claims)}.Report()), claims)
	manage := func(token, method, path, text string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(method, path+"?api-version=2025-06-01", strings.NewReader(text))
		request.Header.Set("Authorization", "Bearer "+token)
		answer := httptest.NewRecorder()
		instance.ServeHTTP(answer, request)
		return answer
	}
	encode := base64.RawURLEncoding.EncodeToString
	deny := "version= 1.0;authorizationrules{=> deny();};"
	none := encode([]byte(`{"alg":"none"}`)) + ".."
	denying := encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"AttestationPolicy":"`+encode([]byte(deny))+`"}`)) + "."
	for _, step := range []struct {
		token, method, path, body string
		status                    int
		denied                    bool // TdxVm, afterwards
	}{
		{"mine", "PUT", "/policies/SevSnpVm", denying, 200, false},
		{"mine", "PUT", "/policies/AzureGuest", denying, 200, false},
		{"other", "PUT", "/policies/TdxVm", denying, 401, false},
		{"mine", "PUT", "/policies/Tdx", denying, 400, false},
		{"mine", "PUT", "/policies/TdxVm", denying + "c2lnbmF0dXJl", 400, false},
		{"mine", "PUT", "/policies/TdxVm", denying, 200, true},
		{"mine", "POST", "/policies/SevSnpVm:reset", none, 200, true},
		{"other", "POST", "/policies/TDXVM:reset", none, 401, true},
		{"mine", "POST", "/policies/TDXVM:reset", none, 200, false},
	} {
		if answer := manage(step.token, step.method, step.path, step.body); answer.Code != step.status {
			t.Errorf("%s %s as %s: status %d: %s", step.method, step.path, step.token, answer.Code, answer.Body)
		}
		answer := post(instance, tdPath, body)
		if denied := strings.Contains(refusalOf(answer), "PolicyEvaluationError"); denied != step.denied || !denied && answer.Code != http.StatusOK {
			t.Errorf("after %s %s as %s: status %d: %s", step.method, step.path, step.token, answer.Code, answer.Body)
		}
	}
	for kind, want := range map[string]string{"TdxVm": maa.DefaultPolicy, "AzureGuest": deny, "SevSnpVm": maa.DefaultPolicy} {
		told := tdClaims(t, manage("mine", "GET", "/policies/"+kind, ""))
		stored, _ := told["x-ms-policy"].(string)
		_, rest, _ := strings.Cut(stored, ".")
		carried, _ := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(rest, "."))
		if !strings.Contains(string(carried), encode([]byte(want))) {
			t.Errorf("%s: %s", kind, carried)
		}
	}
}

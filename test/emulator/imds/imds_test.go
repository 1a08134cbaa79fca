package imds_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/test/emulator/imds"
)

type fakeHost struct{}

func (fakeHost) Certification(w imds.Wanted) (imds.Certification, error) {
	if w.PlatformID == "ff" || w.TCB == "ff" {
		return imds.Certification{}, imds.ErrNoCertificate
	}
	return imds.Certification{CacheControl: "1", CertificateChain: "chain", TCBM: "00", VCEKCert: w.PlatformID + w.TCB + w.Product}, nil
}

func (fakeHost) ManagedIdentityToken(resource string, of imds.Identity) (imds.Token, error) {
	switch {
	case of.ClientID == "unknown" || of.ObjectID == "unknown" || of.ResourceID == "unknown":
		return imds.Token{}, imds.ErrNoIdentity
	case !strings.HasPrefix(resource, "https://vault"):
		return imds.Token{}, imds.ErrUnknownResource
	}
	from := time.Unix(1506480273, 0)
	return imds.Token{Value: "token", ClientID: "id", NotBefore: from, Expires: from.Add(3900 * time.Second)}, nil
}

func get(path string, header map[string]string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	imds.New(fakeHost{}, fakeHost{}).ServeHTTP(answer, request)
	return answer
}

func TestAnswers(t *testing.T) {
	const token = imds.TokenPath + "?api-version=2018-02-01"
	metadata := map[string]string{"Metadata": "true"}
	for _, test := range []struct {
		name, path string
		header     map[string]string
		status     int
		want       string // the body, or the error's code
	}{
		{"a probe", imds.TokenPath, nil, 400, "bad_request_102"},
		{"THIM without the header", imds.CertificationPath, nil, 400, "bad_request_102"},
		{"a forwarded request", imds.CertificationPath, map[string]string{"Metadata": "true", "X-Forwarded-For": "1.2.3.4"}, 400, "bad_request_103"},
		{"THIM", imds.CertificationPath, metadata, 200, `{"cacheControl":"1","certificateChain":"chain","tcbm":"00","vcekCert":""}`},
		{"THIM with a query", imds.CertificationPath + "?platformId=ab&tcbVersion=cd", metadata, 200,
			`{"cacheControl":"1","certificateChain":"chain","tcbm":"00","vcekCert":"abcd"}`},
		{"THIM for a VLEK", imds.CertificationPath + "?platformId=ab&productName=Milan&tcbVersion=cd", metadata, 200,
			`{"cacheControl":"1","certificateChain":"chain","tcbm":"00","vcekCert":"abcdMilan"}`},
		{"THIM for another chip", imds.CertificationPath + "?platformId=ff", metadata, 404, "Not found"},
		{"a token", token + "&resource=https://vault.azure.net", metadata, 200,
			`{"access_token":"token","client_id":"id","expires_in":"3900","expires_on":"1506484173","not_before":"1506480273",` +
				`"refresh_token":"","resource":"https://vault.azure.net","token_type":"Bearer"}`},
		{"no api-version", imds.TokenPath + "?resource=https://vault.azure.net", metadata, 400, "bad_request_104"},
		{"no resource", token, metadata, 400, "invalid_request"},
		{"an unknown identity", token + "&resource=https://vault.azure.net&client_id=unknown", metadata, 400, "invalid_request"},
		{"an unknown object id", token + "&resource=https://vault.azure.net&object_id=unknown", metadata, 400, "invalid_request"},
		{"an unknown resource id", token + "&resource=https://vault.azure.net&mi_res_id=unknown", metadata, 400, "invalid_request"},
		{"an unknown resource id by its other name", token + "&resource=https://vault.azure.net&msi_res_id=unknown", metadata, 400, "invalid_request"},
		{"a token by the path of JavaScript's library",
			imds.TokenPath + "/?api-version=2018-02-01&resource=https://vault.azure.net&object_id=x", metadata, 200,
			`{"access_token":"token","client_id":"id","expires_in":"3900","expires_on":"1506484173","not_before":"1506480273",` +
				`"refresh_token":"","resource":"https://vault.azure.net","token_type":"Bearer"}`},
		{"an unknown resource", token + "&resource=https://graph.microsoft.com", metadata, 400, "invalid_resource"},
		{"nothing", "/metadata/instance", metadata, 404, "Not found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := get(test.path, test.header)
			got := strings.TrimSpace(answer.Body.String())
			if test.status != http.StatusOK {
				var failure struct {
					Error       string `json:"error"`
					Description string `json:"error_description"`
				}
				if err := json.Unmarshal(answer.Body.Bytes(), &failure); err != nil || failure.Description == "" {
					t.Errorf("%v: %s", err, answer.Body)
				}
				got = failure.Error
			}
			if answer.Code != test.status {
				t.Errorf("status %d, want %d", answer.Code, test.status)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

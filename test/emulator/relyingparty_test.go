package emulator_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/hsm"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/emulator/maa"
)

// TestVaultRefusesForgedTokens sends forged tokens to the vault directly,
// because the client would refuse them. Tokens with wrong contents and a valid
// signature are left out: the client detects those.
func TestVaultRefusesForgedTokens(t *testing.T) {
	cloud := start(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	_, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k"}, policyFor(cloud, cloud.Machine().HostData()))
	must(t, err)
	access, err := cloud.AccessToken(vault)
	must(t, err)
	body := attestation(t, cloud)
	want := map[maa.Forgery]int{"": http.StatusOK, maa.OtherKEK: http.StatusOK, maa.WrongNonce: http.StatusOK}
	for _, forgery := range append(maa.Forgeries(), "") {
		if forgery != "" {
			must(t, cloud.Faults().Add(fault.Rule{Service: "maa", Do: fault.Forge, Forgery: string(forgery), Count: 1}))
		}
		var answer struct{ Token string }
		_, token := postJSON(t, cloud, "https://"+cloud.AttestationHost()+"/attest/SevSnpVm?api-version=2022-08-01", "", body)
		must(t, json.Unmarshal(token, &answer))
		release, err := json.Marshal(map[string]string{"target": answer.Token, "enc": "RSA_AES_KEY_WRAP_256"})
		must(t, err)
		status, text := postJSON(t, cloud, "https://"+vault+"/keys/k/release?api-version=7.4", access, release)
		if want[forgery] == 0 {
			want[forgery] = http.StatusForbidden
		}
		if status != want[forgery] {
			t.Errorf("%q: status %d, want %d: %.200s", forgery, status, want[forgery], text)
		}
		if status == http.StatusForbidden && !strings.Contains(string(text), "cannot be verified") {
			t.Errorf("%q: %s", forgery, text)
		}
	}
}

// attestation returns the body of an MAA request for the first machine.
func attestation(t *testing.T, cloud *emulator.Cloud) []byte {
	t.Helper()
	kek, err := hsm.NewKEK(2048)
	must(t, err)
	source, err := snp.NewSource("unix:" + cloud.Machine().Socket())
	must(t, err)
	report, err := source.Report(t.Context(), snp.Bind(kek.RuntimeData()))
	must(t, err)
	platform, err := uvm.Load(uvm.Config{Directory: cloud.Machine().SecurityContext()})
	must(t, err)
	chain, err := vcek.ParseTHIM(platform.HostCertificate)
	must(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	endorsements, err := json.Marshal(map[string][]string{"Uvm": {encode(platform.Endorsement.Raw())}})
	must(t, err)
	inner, err := json.Marshal(map[string]string{
		"SnpReport": encode(report.Raw()), "VcekCertChain": encode(chain.PEM()), "Endorsements": encode(endorsements),
	})
	must(t, err)
	outer, err := json.Marshal(map[string]any{
		"report":      encode(inner),
		"runtimeData": map[string]string{"data": encode(kek.RuntimeData()), "dataType": "JSON"},
		"nonce":       1,
	})
	must(t, err)
	return outer
}

func postJSON(t *testing.T, cloud *emulator.Cloud, url, access string, body []byte) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	must(t, err)
	request.Header.Set("Content-Type", "application/json")
	if access != "" {
		request.Header.Set("Authorization", "Bearer "+access)
	}
	response, err := cloud.HTTPClient().Do(request)
	must(t, err)
	defer response.Body.Close() //nolint:errcheck // read only
	answer, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, answer
}

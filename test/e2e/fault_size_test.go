package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"skr/api"
)

// TestDeepAnswers: a small body must not become a large error text. Indented, this body
// takes hundreds of megabytes.
func TestDeepAnswers(t *testing.T) {
	t.Parallel()
	const depth, most = 9_000, 200 << 20
	deep := `{"error":` + strings.Repeat(`{"innererror":`, depth) + `1` + strings.Repeat(`}`, depth) + `}`
	who := newStranger(t)
	metadata := newStub(t, nil)
	metadataHost := "127.0.0.1:" + metadata.port
	login := "login.localhost:" + who.port
	for _, status := range []int{200, 400, 401} {
		for name, c := range map[string]struct {
			env    []string
			change func(*api.ReleaseRequest)
		}{
			"vault": {change: func(r *api.ReleaseRequest) { r.AKVEndpoint = "deep.vault.localhost:" + who.port }},
			"maa":   {change: func(r *api.ReleaseRequest) { r.MAAEndpoint = "deep.attest.localhost:" + who.port }},
			"imds":  {[]string{"SKR_IMDS_URL=http://" + metadataHost}, func(r *api.ReleaseRequest) { r.AccessToken = nil }},
			"entra": {append(workloadIdentity(t, who.cloud), "AZURE_AUTHORITY_HOST=https://"+login+"/"), func(r *api.ReleaseRequest) { r.AccessToken = nil }},
		} {
			t.Run(fmt.Sprintf("%s %d", name, status), func(t *testing.T) {
				metadata.say(metadataHost, text(status, deep))
				for _, host := range []string{"deep.vault.localhost:" + who.port, "deep.attest.localhost:" + who.port} {
					who.say(host, text(status, deep))
				}
				who.say(login, loginThat(login, text(status, deep)))
				s := who.lab.sidecar(t, append(c.env, "SKR_MAA_ALLOW=*.attest.localhost:"+who.port+","+environmentOf(who.cloud)["SKR_MAA_ALLOW"],
					"SKR_VAULT_ALLOW=*.vault.localhost:"+who.port+","+environmentOf(who.cloud)["SKR_VAULT_ALLOW"])...)
				request := who.request()
				c.change(&request)
				begin := time.Now()
				_, err := s.client.Release(t.Context(), request)
				refused, ok := errors.AsType[*api.Error](err)
				if !ok || refused.Code == api.Internal {
					t.Errorf("got %v", err)
				}
				judgeAnswer(t, s, err, refused.Code, time.Since(begin))
				if peak := peakBytes(t, s); peak > most {
					t.Errorf("%d MB of memory for an answer of %d kB", peak>>20, len(deep)>>10)
				}
			})
		}
	}
}

// peakBytes returns the peak memory of a sidecar.
func peakBytes(t *testing.T, s *sidecar) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		t.Skipf("this system does not report a process's memory: %v", err)
	}
	var kilobytes int
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes)
	}
	return kilobytes << 10
}

package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"skr/test/program"
)

// Without a device, the probes of both listeners, skr healthcheck and skr doctor say which part
// is not ready, and why.
func TestReadinessTellsWhy(t *testing.T) {
	t.Parallel()
	ops := program.FreeAddress(t)
	s := start(t, []string{"SKR_OPS_LISTEN=" + ops})
	listening(t, s)
	for _, address := range []string{s.address, ops} {
		response, err := http.Get("http://" + address + "/readyz?verbose")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Content-Type") != "text/plain; charset=utf-8" ||
			!strings.HasPrefix(string(text), "[+]audit ok\n[-]evidence failed: no evidence: ") || !strings.HasSuffix(string(text), "\nreadyz check failed\n") {
			t.Errorf("%s: %d %s, %v", address, response.StatusCode, text, err)
		}
	}
	for name, want := range map[string]string{"healthcheck": "evidence: no evidence: ", "doctor": "a sidecar answers and is not ready: evidence: no evidence: "} {
		stdout, stderr, code := runOnce(t, "skr", nil, "", name, "--listen", s.address)
		if code == 0 || !strings.Contains(strings.Join(strings.Fields(stdout+stderr), " "), want) {
			t.Errorf("%s: exit %d\n%s%s", name, code, stdout, stderr)
		}
	}
}

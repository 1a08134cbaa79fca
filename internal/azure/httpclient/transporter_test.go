package httpclient

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"skr/internal/refusal"
)

var _ policy.Transporter = Transporter{}

func TestTransporter(t *testing.T) {
	server, seen := serve(t, step{status: 503}, step{status: 403, header: map[string]string{"X-Test": "1"}, body: "no"})
	client, _ := newImpatient(Config{Service: "Key Vault"})
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/keys?v=1", bytes.NewBufferString("token"))
	request.Header.Set("User-Agent", "azsdk")
	answer, err := client.Transporter().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // the body is in memory
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "no" || answer.StatusCode != http.StatusForbidden || answer.Status != "403 Forbidden" ||
		answer.Header.Get("X-Test") != "1" || answer.Request != request {
		t.Errorf("got %+v with %q, %v", answer, body, err)
	}
	for _, r := range *seen {
		if sent, _ := io.ReadAll(r.Body); string(sent) != "token" || r.UserAgent() != "azsdk" || r.URL.String() != "/keys?v=1" {
			t.Errorf("the server saw %s by %s with %q", r.URL, r.UserAgent(), sent)
		}
	}
	if len(*seen) != 2 {
		t.Errorf("%d requests", len(*seen))
	}
}

// TestTransporterInPipeline checks that azcore's retries do not multiply the client's retries.
func TestTransporterInPipeline(t *testing.T) {
	server, seen := serve(t, step{status: 429, header: map[string]string{"Retry-After": "1"}})
	client, _ := newImpatient(Config{Service: "Key Vault"})
	pipeline := runtime.NewPipeline("test", "v0", runtime.PipelineOptions{}, &policy.ClientOptions{Transport: client.Transporter()})
	request, err := runtime.NewRequest(t.Context(), http.MethodGet, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pipeline.Do(request)
	checkRefusal(t, err, refusal.Throttled, 1e9)
	if len(*seen) != DefaultRetry().Attempts {
		t.Errorf("%d requests", len(*seen))
	}
}

func TestTransporterBoundsRequest(t *testing.T) {
	server, seen := serve(t, step{status: 200})
	client, _ := newImpatient(Config{Service: "Key Vault"})
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(make([]byte, maxRequestBody+1)))
	_, err := client.Transporter().Do(request)
	if !errors.Is(err, errOversized) || len(*seen) != 0 {
		t.Errorf("got %v after %d requests", err, len(*seen))
	}
}

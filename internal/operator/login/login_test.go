package login

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"skr/internal/azure/entra"
	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
)

// newPerson returns an environment without identities except for an IMDS.
func newPerson(t *testing.T, imds http.HandlerFunc) *entra.Source {
	t.Helper()
	for _, name := range []string{"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TOKEN_CREDENTIALS"} {
		t.Setenv(name, "") // restores the variable after the test
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", t.TempDir()) // no Azure CLI
	server := httptest.NewServer(imds)
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	link := httpclient.NewTransport(httpclient.TransportConfig{Direct: true, Rewrite: map[string]*url.URL{imdsAddress: target}})
	source, err := New(entra.Config{
		IMDS: httpclient.New(httpclient.Config{Service: "IMDS", Transport: link, Retry: once}),
		HTTP: httpclient.New(httpclient.Config{Service: "Entra ID", Retry: once}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestPersonOnAMachineWithAnIdentity(t *testing.T) {
	source := newPerson(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata") == "" { // azidentity probes whether IMDS answers
			writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
			return
		}
		writeJSON(w, http.StatusOK, imdsToken(r.URL.Query().Get("resource")))
	})
	token, err := source.AccessToken(t.Context(), audience(t))
	if err != nil || token.Reveal() != accessToken {
		t.Fatalf("token %q, error %v", token.Reveal(), err)
	}
}

func TestPersonWithoutIdentity(t *testing.T) {
	source := newPerson(t, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "Identity not found"})
	})
	_, err := source.AccessToken(t.Context(), audience(t))
	if !errors.Is(err, ErrNoIdentity) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %v, want one line of %v", err, ErrNoIdentity)
	}
	for _, tried := range []string{"az login", "EnvironmentCredential", "WorkloadIdentityCredential", "AzureCLICredential"} {
		if !strings.Contains(err.Error(), tried) {
			t.Errorf("%v does not mention %s", err, tried)
		}
	}
}

// A refused login ends the search and is reported.
func TestPersonRefused(t *testing.T) {
	fake := newLogin(t, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 401, map[string]any{"error": "invalid_client", "error_description": "AADSTS700024 " + assertion})
	})
	client := httpclient.New(httpclient.Config{Service: "Entra ID", Retry: once,
		Transport: fake.Client().Transport})
	t.Setenv("AZURE_CLIENT_ID", clientID)
	t.Setenv("AZURE_TENANT_ID", tenant)
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", tokenFile(t))
	source, err := New(entra.Config{AuthorityHost: fake.URL, HTTP: client, IMDS: client})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.AccessToken(t.Context(), audience(t))
	checkRefusal(t, err, refusal.ManagementRejected, "(invalid_client, AADSTS700024); check who is logged in")
}

package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"skr/api"
)

// exampleKey is the P-256 key of RFC 7515, appendix A.3.1.
const exampleKey = `{"kty":"EC","crv":"P-256",
 "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
 "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
 "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`

// newSidecar starts a server that answers as skr does.
func newSidecar() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.StatusResponse{Message: api.StatusOK})
	})
	mux.HandleFunc("POST /key/release", func(w http.ResponseWriter, r *http.Request) {
		var asked api.ReleaseRequest
		_ = json.NewDecoder(r.Body).Decode(&asked)
		if asked.KID == "signing" {
			w.Header().Set(api.HeaderCache, string(api.CacheHit))
			w.Header().Set(api.HeaderAge, "90")
			_ = json.NewEncoder(w).Encode(api.ReleaseResponse{Key: api.Secret(exampleKey)})
			return
		}
		if asked.KID != "demo" {
			w.WriteHeader(api.KeyNotFound.HTTPStatus())
			_ = json.NewEncoder(w).Encode(api.Error{Message: "key not found: the vault has no such key", Code: api.KeyNotFound, RequestID: "r1"})
			return
		}
		_ = json.NewEncoder(w).Encode(api.ReleaseResponse{Key: api.Secret(`{"kty":"oct","k":"AAAA"}`)})
	})
	return httptest.NewServer(mux)
}

func ExampleClient_Release() {
	sidecar := newSidecar() // in a pod: api.NewClient(api.Config{})
	defer sidecar.Close()
	ctx := context.Background()

	client, err := api.NewClient(api.Config{BaseURL: sidecar.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := client.WaitReady(ctx); err != nil {
		fmt.Println(err)
		return
	}
	key, err := client.Release(ctx, api.ReleaseRequest{
		MAAEndpoint: "sharedeus.eus.attest.azure.net",
		AKVEndpoint: "contoso.vault.azure.net",
		KID:         "demo",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer key.Wipe()
	fmt.Println(key, len(key))
	// Output: [redacted] 24
}

func ExampleError() {
	sidecar := newSidecar()
	defer sidecar.Close()

	client, err := api.NewClient(api.Config{BaseURL: sidecar.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Release(context.Background(), api.ReleaseRequest{KID: "typo"})
	if errors.Is(err, api.KeyNotFound) {
		fmt.Println(err)
	}
	// Output: skr: key not found: the vault has no such key (key_not_found, request r1)
}

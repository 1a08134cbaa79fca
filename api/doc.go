// Package api is the Go client for applications, with the types and error codes of
// skr's HTTP API:
//
//	client, err := api.NewClient(api.Config{})
//	if err := client.WaitReady(ctx); err != nil { … }
//	key, err := client.ReleaseKey(ctx, api.ReleaseRequest{
//		MAAEndpoint: "sharedeus.eus.attest.azure.net",
//		AKVEndpoint: "contoso.vault.azure.net",
//		KID:         "kafka-encryption-demo",
//	})
//	defer key.Wipe()
//	signer, err := key.Signer()
//
// The routes and members are compatible with the sidecar that the documentation of
// AKS confidential containers deploys. RouteReady is additional. [OpenAPI] describes
// them in full. An answer with status 200 is a result. Any other status has an
// [Error] whose [Code] says who refused.
//
// The package imports only the standard library.
package api

import _ "embed" // for openapi.yaml

//go:embed openapi.yaml
var openAPI string

// OpenAPI returns the description of the API, OpenAPI 3.1 in YAML.
func OpenAPI() []byte { return []byte(openAPI) }

// The routes. RouteStatus, RouteReady and RouteWatch use GET, the others POST. RouteRelease has both.
const (
	RouteStatus   = "/status"
	RouteReady    = "/readyz"
	RouteRaw      = "/attest/raw"
	RouteCombined = "/attest/combined"
	RouteMAA      = "/attest/maa"
	RouteRelease  = "/key/release"
	RouteWatch    = "/key/watch"

	RoutePublic  = "/key/public"
	RouteEncrypt = "/key/encrypt"
	RouteDecrypt = "/key/decrypt"
	RouteWrap    = "/key/wrap"
	RouteUnwrap  = "/key/unwrap"
	RouteSign    = "/key/sign"
	RouteVerify  = "/key/verify"
)

// Routes returns every route.
func Routes() []string {
	return []string{
		RouteStatus, RouteReady, RouteRaw, RouteCombined, RouteMAA, RouteRelease, RouteWatch,
		RoutePublic, RouteEncrypt, RouteDecrypt, RouteWrap, RouteUnwrap, RouteSign, RouteVerify,
	}
}

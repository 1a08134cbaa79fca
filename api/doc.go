// Package api is what an application in the pod says to skr, and hears.
//
// It holds the JSON of the six routes, the error codes and a client:
//
//	client, err := api.NewClient(api.Config{})
//	if err := client.WaitReady(ctx); err != nil { … }
//	key, err := client.Release(ctx, api.ReleaseRequest{
//		MAAEndpoint: "sharedeus.eus.attest.azure.net",
//		AKVEndpoint: "contoso.vault.azure.net",
//		KID:         "kafka-encryption-demo",
//	})
//	defer key.Wipe()
//
// The routes and members are those of the sidecar that the documentation of AKS
// confidential containers deploys, and RouteReady; [OpenAPI] describes them in full. An answer
// of 200 is a result, every other status carries an [Error] whose [Code] says
// who refused.
//
// The package imports the standard library alone, so that an application takes
// on nothing else with it.
package api

import _ "embed" // for openapi.yaml

//go:embed openapi.yaml
var openAPI string

// OpenAPI returns the description of the API, OpenAPI 3.1 in YAML.
func OpenAPI() []byte { return []byte(openAPI) }

// The routes. RouteStatus and RouteReady are asked with GET, the others with POST.
const (
	RouteStatus   = "/status"
	RouteReady    = "/readyz"
	RouteRaw      = "/attest/raw"
	RouteCombined = "/attest/combined"
	RouteMAA      = "/attest/maa"
	RouteRelease  = "/key/release"
)

// Routes returns every route.
func Routes() []string {
	return []string{RouteStatus, RouteReady, RouteRaw, RouteCombined, RouteMAA, RouteRelease}
}

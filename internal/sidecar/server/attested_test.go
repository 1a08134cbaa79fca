package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"testing"

	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"skr/api"
	"skr/internal/sidecar/keyproviderpb"
)

// keySet is what a caller could have attested to release keys without skr.
const keySet = `{"keys":[{"kty":"RSA","key_ops":["encrypt"],"kid":"mine","e":"AQAB","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl"}]}`

// A caller without access to every key gets no evidence over its own key pair, on any
// route. It gets evidence over a digest on all routes.
func TestBoundCallersAttestNoKeys(t *testing.T) {
	digest := sha256.Sum256([]byte(keySet))
	for name, c := range map[string]struct {
		data []byte
		http int
		grpc grpccodes.Code
	}{
		"a key":    {[]byte(keySet), http.StatusForbidden, grpccodes.PermissionDenied},
		"a digest": {digest[:], http.StatusOK, grpccodes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			text := base64.StdEncoding.EncodeToString(c.data)
			s := newServer(t, newPipeline(t), withAccess(t))
			for route, names := range map[string]string{api.RouteRaw: "", api.RouteCombined: "", api.RouteMAA: `"maa_endpoint":"sharedeus.eus.attest.azure.net",`} {
				r := newRequest("POST", route, `{`+names+`"runtime_data":"`+text+`"}`)
				r.Header.Set("Authorization", "Bearer "+otherToken)
				if got := ask(t, s, r).StatusCode; got != c.http {
					t.Errorf("%s: status %d, want %d", route, got, c.http)
				}
			}
			conn, _ := serveGRPC(t, newPipeline(t), withAccess(t))
			client := keyproviderpb.NewKeyProviderServiceClient(conn)
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+otherToken)
			_, err := client.GetReport(ctx, &keyproviderpb.KeyProviderGetReportInput{ReportDataHexString: hex.EncodeToString(c.data)})
			if got := status.Code(err); got != c.grpc {
				t.Errorf("GetReport: %v, want %v", err, c.grpc)
			}
			_, err = client.GetAttestationData(ctx, &keyproviderpb.KeyProviderGetAttestationDataInput{B64RuntimeDataString: text})
			if got := status.Code(err); got != c.grpc {
				t.Errorf("GetAttestationData: %v, want %v", err, c.grpc)
			}
		})
	}
}

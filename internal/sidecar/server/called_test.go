package server

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"skr/api"
	"skr/internal/sidecar/keyproviderpb"
)

// TestCalled checks that each request is reported, whatever its answer, over HTTP and gRPC.
func TestCalled(t *testing.T) {
	var paths []string
	s := newServer(t, &pipeline{}, func(c *Config) { c.Called = func(path string) { paths = append(paths, path) } })
	for _, path := range []string{api.RouteStatus, api.RouteReady, api.RouteRelease, "/other"} {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
	}
	for _, method := range []string{"/grpc.health.v1.Health/Check", keyproviderpb.KeyProviderService_SayHello_FullMethodName} {
		s.methods().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "http://localhost"+method, nil))
	}
	want := []string{
		api.RouteStatus, api.RouteReady, api.RouteRelease, "none", "/grpc.health.v1.Health/Check",
		keyproviderpb.KeyProviderService_SayHello_FullMethodName,
	}
	if !slices.Equal(paths, want) {
		t.Errorf("called with %q, want %q", paths, want)
	}
}

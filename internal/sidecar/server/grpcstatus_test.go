package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	grpccodes "google.golang.org/grpc/codes"

	"skr/api"
)

// TestGRPCCodes checks that each code of the API has a gRPC code, as listed in
// docs/encrypted-images.md.
func TestGRPCCodes(t *testing.T) {
	var want strings.Builder
	want.WriteString("| code | gRPC |\n|---|---|\n")
	for _, code := range api.Codes() {
		if GRPCCode(code) == grpccodes.OK {
			t.Errorf("%s has no gRPC code", code)
		}
		fmt.Fprintf(&want, "| `%s` | %s |\n", code, GRPCCode(code))
	}
	document, err := os.ReadFile("../../../docs/encrypted-images.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), want.String()) {
		t.Errorf("docs/encrypted-images.md must hold:\n%s", want.String())
	}
}

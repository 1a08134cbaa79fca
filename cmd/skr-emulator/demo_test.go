package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func buildSidecar(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "skr")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", path, "skr/cmd/skr").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestDemo(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"demo", "--skr", buildSidecar(t)}, &out, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{"\n1. ", "\n6. ", "200  a private JWK", `plain        "` + demoSecret + `"`, "403  release_rejected", "to no other"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sreve"}, "unknown command"},
		{[]string{"demo", "now"}, "unknown command"},
		{[]string{"serve", "--listen", "0.0.0.0:0"}, "loopback"},
		{[]string{"serve", "--key", "payroll"}, "want VAULT/NAME"},
		{[]string{"serve", "--fault", "nothing=1"}, "--fault"},
		{[]string{"serve", "--platform", "aks"}, "want aci or aks-kata"},
		{[]string{"serve", "--cce-policy", "/nonexistent"}, "no such file"},
		{[]string{"demo", "--skr", "/nonexistent"}, "starting the sidecar"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), c.args, &out, &out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.args, err, c.want)
		}
	}
}

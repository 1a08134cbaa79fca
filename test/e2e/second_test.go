package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
)

// A second skr reports which process has its address, for each listener. It ends if the
// first would answer the applications, and goes on without the listener for probes.
func TestSecondStart(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	env := cloud.Environment(cloud.Machine())
	grpc, ops, path := program.FreeAddress(t), program.FreeAddress(t), filepath.Join(t.TempDir(), "skr.sock")
	first := start(t, append(env, "SKR_GRPC_LISTEN="+grpc, "SKR_OPS_LISTEN="+ops)).ready(t)
	onSocket := start(t, append(env, "SKR_LISTEN=unix:"+path))
	if _, stderr, code := once(t, nil, "", "healthcheck", "--listen", "unix:"+path, "--wait", "20s"); code != 0 {
		t.Fatal(stderr)
	}
	_, port, _ := net.SplitHostPort(first.address)
	_, grpcPort, _ := net.SplitHostPort(grpc)
	for name, c := range map[string]struct {
		env    []string
		holder *sidecar
	}{
		"HTTP":        {[]string{"SKR_LISTEN=localhost:" + port}, first},
		"gRPC":        {[]string{"SKR_LISTEN=", "SKR_GRPC_LISTEN=localhost:" + grpcPort}, first},
		"unix socket": {[]string{"SKR_LISTEN=unix:" + path}, onSocket},
	} {
		_, stderr, code := once(t, append(env, c.env...), "", "serve")
		if want := fmt.Sprintf("process %d (skr)", c.holder.process.Process.Pid); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, want %q in\n%s", name, code, want, stderr)
		}
	}
	second := start(t, append(env, "SKR_OPS_LISTEN="+ops)).ready(t)
	status, err := second.client.Status(t.Context())
	want := fmt.Sprintf("process %d (skr) listens there", first.process.Process.Pid)
	if err != nil || !strings.Contains(problemOf(status.Problems, "ops_listen"), want) {
		t.Errorf("%v, %+v, want %q", err, status, want)
	}
}

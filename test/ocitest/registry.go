package ocitest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote"
)

// program is the registry of Debian's package docker-registry (distribution/distribution).
const program = "docker-registry"

// patience is how long a registry may take to listen on a loaded machine.
const patience = time.Minute

// StartRegistry runs a registry on loopback until the test ends and returns its host. It skips
// the test where the program is not installed.
func StartRegistry(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip("a registry on loopback needs the program " + program + ": apt-get install docker-registry")
	}
	host := freeHost(t)
	config := filepath.Join(t.TempDir(), "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", t.TempDir(), host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	waitFor(t, host)
	return host
}

func freeHost(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// waitFor asks until the registry answers.
func waitFor(t *testing.T, host string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			_ = response.Body.Close()
			return
		}
	}
	t.Fatalf("the registry at %s does not answer", host)
}

// Repository returns a repository of a registry on loopback.
func Repository(t *testing.T, host, name string) *remote.Repository {
	t.Helper()
	repository, err := remote.NewRepository(host + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	return repository
}

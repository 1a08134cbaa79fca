package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
)

// binary is skr, built as it ships.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skr-e2e-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "skr")
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", binary, "skr/cmd/skr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building skr: %v\n%s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// newCloud starts an emulated cloud in a directory with a short path.
func newCloud(t testing.TB, config emulator.Config) *emulator.Cloud {
	t.Helper()
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config.Dir = dir
	cloud, err := emulator.Start(context.WithoutCancel(t.Context()), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Errorf("closing the cloud: %v", err)
		}
	})
	return cloud
}

// output collects a process's standard error; it may be read while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// sidecar is a running skr.
type sidecar struct {
	address string
	client  *api.Client
	log     *output
	process *exec.Cmd
	exited  chan struct{}
	err     error // how it ended; valid after exited
}

// start runs skr with env and args; the address is added as Port.
func start(t testing.TB, env []string, args ...string) *sidecar {
	t.Helper()
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	process := exec.Command(binary, args...)
	process.Env = append(env, "Port="+port)
	return launch(t, process, "localhost:"+port)
}

// launch a process that is, or becomes, skr on that address.
func launch(t testing.TB, process *exec.Cmd, address string) *sidecar {
	t.Helper()
	s := &sidecar{address: address, log: new(output), process: process, exited: make(chan struct{})}
	s.process.Stderr = s.log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.process.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() { s.kill(t) })
	var err error
	if s.client, err = api.NewClient(api.Config{BaseURL: "http://" + s.address, Attempts: 1}); err != nil {
		t.Fatal(err)
	}
	return s
}

// ready waits until the sidecar says so.
func (s *sidecar) ready(t testing.TB) *sidecar {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.client.WaitReady(ctx); err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	return s
}

// stop sends SIGTERM and returns how the process ended.
func (s *sidecar) stop() error {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	<-s.exited
	return s.err
}

func (s *sidecar) kill(t testing.TB) {
	if t.Failed() {
		text := s.log.String()
		t.Logf("log of skr:\n%s", text[max(0, len(text)-4000):])
	}
	_ = s.process.Process.Kill()
	<-s.exited
}

// once runs a command of skr to its end.
func once(t *testing.T, env []string, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errOut.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), 0
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

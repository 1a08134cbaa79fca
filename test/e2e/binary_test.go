package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"skr/api"
	"skr/test/program"
)

// sidecar is a running skr.
type sidecar struct {
	address string
	client  *api.Client
	log     *program.Output
	process *exec.Cmd
	exited  chan struct{}
	err     error // how it ended; valid after exited

	timeout time.Duration // of its requests, for tests that measure their time
}

// start runs skr with env and args, and adds the address as Port.
func start(t testing.TB, env []string, args ...string) *sidecar {
	t.Helper()
	address := program.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	process := exec.Command(program.Path("skr"), args...)
	process.Env = append(env, "Port="+port)
	return launch(t, process, "localhost:"+port)
}

// launch starts a process that is or becomes skr, and listens on that address.
func launch(t testing.TB, process *exec.Cmd, address string) *sidecar {
	t.Helper()
	s := &sidecar{address: address, log: new(program.Output), process: process, exited: make(chan struct{})}
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

// ready waits until the sidecar is ready.
func (s *sidecar) ready(t testing.TB) *sidecar {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
	if text := s.log.String(); strings.Contains(text, "WARNING: DATA RACE") {
		t.Errorf("the race detector reports:\n%s", text[:min(len(text), 8000)])
	}
}

// once runs a command of skr until it ends.
func once(t *testing.T, env []string, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runOnce(t, "skr", env, stdin, args...)
}

// operate runs a command of skrctl to its end.
func operate(t *testing.T, env []string, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runOnce(t, "skrctl", env, stdin, args...)
}

func runOnce(t *testing.T, name string, env []string, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program.Path(name), args...)
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

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"skr/api"
)

const stopGrace = 5 * time.Second

// sidecar is a running skr process.
type sidecar struct {
	address string
	client  *api.Client
	process *exec.Cmd
}

// startSidecar runs the real binary and waits until it is ready.
func startSidecar(ctx context.Context, binary string, environment []string) (*sidecar, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	log := new(strings.Builder)
	process := exec.CommandContext(ctx, binary, "serve", "--listen", address) //nolint:gosec // the developer names the binary
	process.Env = append([]string{"HOME=" + os.TempDir()}, environment...)
	process.Stderr = log
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = stopGrace
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("starting the sidecar: %w", err)
	}
	client, err := api.NewClient(api.Config{BaseURL: "http://" + address})
	if err != nil {
		return nil, err
	}
	s := &sidecar{address, client, process}
	if err := client.WaitReady(ctx); err != nil {
		s.stop()
		return nil, errors.Join(err, errors.New(log.String()))
	}
	return s, nil
}

// stop ends the process as a kubelet does.
func (s *sidecar) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM) // it may have exited already
	_ = s.process.Wait()                          // the exit code does not matter
}

// freeAddress returns a loopback address whose port was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }() // nothing to flush
	return listener.Addr().String(), nil
}

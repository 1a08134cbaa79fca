package tpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

func dialSocket(ctx context.Context, path string) (link, error) {
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

// device is a character device of the kernel's TPM driver, opened in non-blocking mode. A write
// only starts the command, and poll reports when the answer is ready. An earlier read returns
// zero bytes (drivers/char/tpm/tpm-dev-common.c), which os.File treats as the end.
type device struct {
	fd       int
	deadline atomic.Pointer[time.Time]
}

// pollInterval is the maximum time until a moved deadline is noticed.
const pollInterval = 100 * time.Millisecond

func openDevice(ctx context.Context, path string) (link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &device{fd: fd}, nil
}

func (d *device) SetDeadline(t time.Time) error {
	d.deadline.Store(&t)
	return nil
}

func (d *device) Write(command []byte) (int, error) {
	return d.await(unix.POLLOUT, command, unix.Write)
}

func (d *device) Read(answer []byte) (int, error) { return d.await(unix.POLLIN, answer, unix.Read) }

func (d *device) Close() error {
	if err := unix.Close(d.fd); err != nil {
		return fmt.Errorf("closing the device: %w", err)
	}
	return nil
}

// await calls move when the device is ready.
func (d *device) await(event int16, buffer []byte, move func(int, []byte) (int, error)) (int, error) {
	for {
		ready, err := d.poll(event)
		if err != nil {
			return 0, err
		}
		if !ready {
			continue
		}
		n, err := move(d.fd, buffer)
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return 0, fmt.Errorf("the device refused: %w", err)
		case n == 0:
			return 0, io.ErrUnexpectedEOF
		}
		return n, nil
	}
}

// poll waits for at most pollInterval, and not beyond the deadline.
func (d *device) poll(event int16) (ready bool, err error) {
	wait := pollInterval
	if deadline := d.deadline.Load(); deadline != nil {
		left := time.Until(*deadline)
		if left <= 0 {
			return false, os.ErrDeadlineExceeded
		}
		wait = min(wait, left)
	}
	fds := []unix.PollFd{{Fd: int32(d.fd), Events: event}} //nolint:gosec // descriptors are small
	n, err := unix.Poll(fds, int(wait/time.Millisecond)+1) // never 0, which would spin
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("waiting for the device: %w", err)
	}
	return n > 0, nil
}

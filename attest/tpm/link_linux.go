package tpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// device is a character device of the kernel's TPM driver. Opened without
// blocking, a write only starts the command, and the answer is there when poll
// says so; a read before that gives zero bytes (drivers/char/tpm/tpm-dev-common.c),
// which os.File takes for the end.
type device struct {
	fd       int
	deadline atomic.Pointer[time.Time]
}

// pollInterval is how long a deadline that was moved may go unnoticed.
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

// await calls move when the device is ready for it.
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

// poll waits for a moment, and not beyond the deadline.
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

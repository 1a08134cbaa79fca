package tpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"skr/test/swtpm"
)

// terminal returns a character device and its other end. Without a TPM driver, no device
// is closer to a TPM's.
func terminal(t *testing.T) (other *os.File, path string) {
	t.Helper()
	other, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = other.Close() })
	fd := int(other.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	path = fmt.Sprintf("/dev/pts/%d", number)
	raw(t, path)
	return other, path
}

// raw makes the terminal pass bytes unchanged and keeps it open.
func raw(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = file.Close() })
	state, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	state.Iflag, state.Oflag, state.Lflag = 0, 0, 0
	state.Cflag = state.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	state.Cc[unix.VMIN], state.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(file.Fd()), unix.TCSETS, state); err != nil {
		t.Fatal(err)
	}
}

func TestDevice(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{})
	other, path := terminal(t)
	backend, err := net.Dial("unix", strings.TrimPrefix(machine.Address(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close() //nolint:errcheck // the machine is closed too
	go func() { _, _ = io.Copy(backend, other) }()
	go func() { _, _ = io.Copy(other, backend) }()

	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := opened.AK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !key.RSA().Equal(machine.AK()) {
		t.Error("another AK")
	}
	if _, err := opened.Quote(t.Context(), boot(t), []byte("nonce")); err != nil {
		t.Error(err)
	}
}

func TestDeviceDeadline(t *testing.T) {
	_, path := terminal(t)
	d, err := openDevice(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // nothing was written
	if err := d.SetDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestDeviceRefused(t *testing.T) {
	opened := saying(nil)
	opened.dial = func(ctx context.Context) (link, error) { return openDevice(ctx, "/dev/no-such-tpm") }
	if _, err := opened.AK(t.Context()); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "no vTPM") {
		t.Errorf("error %v", err)
	}
}

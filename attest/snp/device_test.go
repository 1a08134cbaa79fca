//go:build linux

package snp

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-sev-guest/client/linuxabi"
)

// driver emulates the kernel's sev-guest driver.
type driver struct {
	answer        func(*linuxabi.SnpUserGuestRequest) (uintptr, error)
	closeErr      error
	opens, closes int
}

func (d *driver) open(string) (firmwareDevice, error) {
	d.opens++
	return d, nil
}

func (d *driver) Ioctl(command uintptr, argument any) (uintptr, error) {
	request, ok := argument.(*linuxabi.SnpUserGuestRequest)
	if !ok || command != linuxabi.IocSnpGetReport {
		return 0, syscall.ENOTTY
	}
	return d.answer(request)
}

func (d *driver) Close() error {
	d.closes++
	return d.closeErr
}

// sign answers a request as the driver does.
func sign(request *linuxabi.SnpUserGuestRequest) (uintptr, error) {
	response := request.RespData.(*linuxabi.SnpReportRespABI)
	response.ReportSize = ReportSize
	copy(response.Data[:], genuine(request.ReqData.(*linuxabi.SnpReportReqABI).ReportData))
	return 0, nil
}

func TestSevGuest(t *testing.T) {
	tests := []struct {
		name     string
		answer   func(*linuxabi.SnpUserGuestRequest) (uintptr, error)
		closeErr error
		want     string // empty if a report is expected
	}{
		{"good", sign, nil, ""},
		{"errno", func(*linuxabi.SnpUserGuestRequest) (uintptr, error) { return 0, syscall.ENOTTY }, nil, syscall.ENOTTY.Error()},
		{"firmware", func(r *linuxabi.SnpUserGuestRequest) (uintptr, error) {
			r.FwErr = 0x16
			return 0, syscall.EIO
		}, nil, "error 0x16: " + syscall.EIO.Error()},
		{"result", func(*linuxabi.SnpUserGuestRequest) (uintptr, error) { return 2, nil }, nil, "returned 2"},
		{"no report", func(*linuxabi.SnpUserGuestRequest) (uintptr, error) { return 0, nil }, nil, "a report of 0 bytes"},
		{"close", sign, errors.New("close failed"), "closing the device"},
	}
	data := Bind([]byte("data"))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := &driver{answer: test.answer, closeErr: test.closeErr}
			raw, err := sevGuest{"/dev/test", d.open}.read(data)
			if d.opens != 1 || d.closes != 1 {
				t.Errorf("%d opens and %d closes, want one of each", d.opens, d.closes)
			}
			if test.want == "" {
				if err != nil || !bytes.Equal(raw, genuine(data)) {
					t.Errorf("%d bytes, error %v", len(raw), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestOpenSevGuest(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "sev-guest")
	if _, err := openSevGuest(absent); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
	// Another device refuses the ioctl.
	_, err := sevGuest{"/dev/null", openSevGuest}.read(ReportData{})
	if !errors.Is(err, syscall.ENOTTY) {
		t.Errorf("asking /dev/null: error %v, want ENOTTY", err)
	}
}

package snp

import (
	"fmt"

	"github.com/google/go-sev-guest/client/linuxabi"
)

// sevGuestPath is the character device of the kernel's sev-guest driver
// (Linux, Documentation/virt/coco/sev-guest.rst).
const sevGuestPath = "/dev/sev-guest"

// firmwareDevice is the part of client.Device that is used.
type firmwareDevice interface {
	Ioctl(command uintptr, argument any) (uintptr, error)
	Close() error
}

// sevGuest requests reports with the SNP_GET_REPORT ioctl. The library's one-call
// functions request the host's certificates first, which are not needed, and its
// throttle then sleeps for 2 s between the two.
type sevGuest struct {
	path string
	open func(path string) (firmwareDevice, error)
}

func newSevGuest() device {
	return newDevice(sevGuestPath, sevGuest{sevGuestPath, openSevGuest}.read)
}

func (g sevGuest) read(data ReportData) (raw []byte, err error) {
	d, err := g.open(g.path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := d.Close(); closeErr != nil && err == nil {
			raw, err = nil, fmt.Errorf("closing the device: %w", closeErr)
		}
	}()
	return askReport(d, data)
}

// askReport sends MSG_REPORT_REQ for VMPL 0 (AMD 56860, table MSG_REPORT_REQ Message
// Structure) and extracts the report from MSG_REPORT_RSP.
func askReport(d firmwareDevice, data ReportData) ([]byte, error) {
	var response linuxabi.SnpReportRespABI
	request := linuxabi.SnpUserGuestRequest{
		ReqData:  &linuxabi.SnpReportReqABI{ReportData: data},
		RespData: &response,
	}
	result, err := d.Ioctl(linuxabi.IocSnpGetReport, &request)
	switch {
	case err != nil && request.FwErr != 0:
		return nil, fmt.Errorf("asking the firmware: error %#x: %w", request.FwErr, err)
	case err != nil:
		return nil, fmt.Errorf("asking the firmware: %w", err)
	case result != 0:
		return nil, fmt.Errorf("asking the firmware: the ioctl returned %d", result)
	case response.ReportSize != ReportSize:
		return nil, fmt.Errorf("asking the firmware: a report of %d bytes, want %d", response.ReportSize, ReportSize)
	}
	return response.Data[:ReportSize], nil
}

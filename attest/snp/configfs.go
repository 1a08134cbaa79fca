package snp

import (
	"fmt"
	"strings"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/configfs/linuxtsm"
	"github.com/google/go-configfs-tsm/report"
)

// sevGuestProvider is the provider attribute of the sev-guest driver. Other
// drivers, such as Intel TDX, use the same directory (Linux,
// Documentation/ABI/testing/configfs-tsm-report).
const sevGuestProvider = "sev_guest"

// configFS requests reports through /sys/kernel/config/tsm/report, without an ioctl.
type configFS struct {
	client func() (configfsi.Client, error)
}

func newConfigFS() *device {
	return newDevice("configfs-tsm", configFS{linuxtsm.MakeClient}.read)
}

// read uses the kernel's default privilege level, VMPL 0.
func (c configFS) read(data ReportData) ([]byte, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	response, err := report.Get(client, &report.Request{InBlob: data[:]})
	if err != nil {
		return nil, fmt.Errorf("asking the kernel: %w", err)
	}
	if provider := strings.TrimSpace(response.Provider); provider != sevGuestProvider {
		return nil, fmt.Errorf("the provider is %q, want %q", provider, sevGuestProvider)
	}
	return response.OutBlob, nil
}

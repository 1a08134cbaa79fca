package firmware

import (
	"fmt"
	"strings"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/configfs/linuxtsm"
	"github.com/google/go-configfs-tsm/report"
)

// ConfigFSName is the name of the devices of [ConfigFS].
const ConfigFSName = "configfs-tsm"

// The providers of reports, by the name of their driver.
const (
	SEVGuest = "sev_guest"
	TDXGuest = "tdx_guest"
)

// configFS requests reports through /sys/kernel/config/tsm/report, without an ioctl. Drivers of
// all vendors use this directory (Linux, Documentation/ABI/testing/configfs-tsm-report).
type configFS struct {
	provider string
	client   func() (configfsi.Client, error)
}

// ConfigFS returns the device that requests reports of a provider. Reports of another provider
// are an error.
func ConfigFS(provider string) *Device {
	return NewDevice(ConfigFSName, configFS{provider, linuxtsm.MakeClient}.read)
}

// read uses the kernel's default privilege level, VMPL 0 on SEV-SNP.
func (c configFS) read(data ReportData) ([]byte, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	response, err := report.Get(client, &report.Request{InBlob: data[:]})
	if err != nil {
		return nil, fmt.Errorf("asking the kernel: %w", err)
	}
	if provider := strings.TrimSpace(response.Provider); provider != c.provider {
		return nil, fmt.Errorf("the provider is %q, want %q", provider, c.provider)
	}
	return response.OutBlob, nil
}

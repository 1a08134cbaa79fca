//go:build linux

package firmware

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/configfs/faketsm"
)

// kernel emulates configfs-tsm with the given provider.
func kernel(provider string, outblob func(inblob []byte) ([]byte, error)) (*faketsm.ReportSubsystem, configfsi.Client) {
	reports := &faketsm.ReportSubsystem{
		Random: rand.Reader,
		MakeEntry: func() *faketsm.ReportEntry {
			return &faketsm.ReportEntry{InAttrs: map[string]*faketsm.ReportAttributeState{"inblob": {}}}
		},
		CheckInAttr: func(_ *faketsm.ReportEntry, attr string, _ []byte) error {
			if attr != "inblob" {
				return syscall.EINVAL
			}
			return nil
		},
		ReadAttr: func(e *faketsm.ReportEntry, attr string) ([]byte, error) {
			switch attr {
			case "outblob":
				return outblob(e.InAttrs["inblob"].Value)
			case "provider":
				return []byte(provider + "\n"), nil
			}
			return nil, fs.ErrNotExist
		},
	}
	return reports, &faketsm.Client{Subsystems: map[string]configfsi.Client{"report": reports}}
}

func TestConfigFS(t *testing.T) {
	good := func(inblob []byte) ([]byte, error) { return slices.Concat([]byte("report over "), inblob), nil }
	tests := []struct {
		name, wanted, provider string
		outblob                func([]byte) ([]byte, error)
		want                   string // empty if a report is expected
	}{
		{"SEV-SNP", SEVGuest, "sev_guest", good, ""},
		{"TDX", TDXGuest, "tdx_guest", good, ""},
		{"another provider", SEVGuest, "tdx_guest", good, `provider is "tdx_guest", want "sev_guest"`},
		{"another provider for TDX", TDXGuest, "sev_guest", good, `provider is "sev_guest", want "tdx_guest"`},
		{"firmware", SEVGuest, "sev_guest", func([]byte) ([]byte, error) { return nil, syscall.ENXIO }, "asking the kernel"},
	}
	data := ReportData{1, 2, 3}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reports, client := kernel(test.provider, test.outblob)
			raw, err := configFS{test.wanted, func() (configfsi.Client, error) { return client, nil }}.read(data)
			if len(reports.Entries) != 0 {
				t.Errorf("%d entries remain", len(reports.Entries))
			}
			if test.want == "" {
				if want, _ := good(data[:]); err != nil || !bytes.Equal(raw, want) {
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

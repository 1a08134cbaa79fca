package snp

import (
	"context"

	"skr/attest/firmware"
)

// device is an interface of the kernel.
type device struct{ *firmware.Device }

var _ fetcher = device{}

func newDevice(name string, read func(ReportData) ([]byte, error)) device {
	return device{firmware.NewDevice(name, func(data firmware.ReportData) ([]byte, error) { return read(data) })}
}

func newConfigFS() device { return device{firmware.ConfigFS(firmware.SEVGuest)} }

func (d device) fetch(ctx context.Context, data ReportData) ([]byte, error) {
	return d.Fetch(ctx, data)
}

package firmware_test

import (
	"context"
	"fmt"

	"skr/attest/firmware"
)

// The device is opened for each report, so that it may appear later.
func ExampleConfigFS() {
	device := firmware.ConfigFS(firmware.TDXGuest)
	quote := func(ctx context.Context, data firmware.ReportData) ([]byte, error) { return device.Fetch(ctx, data) }
	_ = quote
	fmt.Println(device)
	// Output: configfs-tsm
}

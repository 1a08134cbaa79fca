// Package firmware asks the kernel's interfaces to the firmware of a confidential machine for
// reports over 64 bytes. It does not read the reports.
//
//	device := firmware.ConfigFS("tdx_guest")
//	raw, err := device.Fetch(ctx, data)
package firmware

import (
	"context"
	"fmt"
)

// ReportData are the 64 bytes that a report is over: REPORT_DATA of SEV-SNP, REPORTDATA of TDX.
type ReportData = [64]byte

// Device wraps a kernel interface whose calls block and cannot be cancelled. One
// call runs at a time. If a caller gives up, the call continues in the background
// and keeps its turn, so that at most one goroutine is ever stuck.
type Device struct {
	name string
	read func(ReportData) ([]byte, error)
	turn chan struct{} // holds one value while read runs
}

// NewDevice returns the device that read asks.
func NewDevice(name string, read func(ReportData) ([]byte, error)) *Device {
	return &Device{name: name, read: read, turn: make(chan struct{}, 1)}
}

// String returns the name.
func (d *Device) String() string { return d.name }

// Fetch returns the bytes of a report over data. The error wraps fs.ErrNotExist if the machine
// does not have the interface, and ctx's error if that is the reason.
func (d *Device) Fetch(ctx context.Context, data ReportData) ([]byte, error) {
	if err := d.acquire(ctx); err != nil {
		return nil, fmt.Errorf("waiting for the device: %w", err)
	}
	type answer struct {
		raw []byte
		err error
	}
	answered := make(chan answer, 1) // buffered: the goroutine never blocks
	go func() {
		defer func() { <-d.turn }()
		raw, err := d.guarded(data)
		answered <- answer{raw, err}
	}()
	select {
	case a := <-answered:
		return a.raw, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the firmware: %w", ctx.Err())
	}
}

// guarded converts a panic of the library to an error, because a panic in this
// goroutine would end the process. The error omits the panic's value, which may
// contain evidence.
func (d *Device) guarded(data ReportData) (raw []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			raw, err = nil, fmt.Errorf("the library for %s panicked with a %T", d.name, value)
		}
	}()
	return d.read(data)
}

// acquire waits for the turn. It always fails if ctx is already done.
func (d *Device) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

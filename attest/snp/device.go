package snp

import (
	"context"
	"fmt"
)

// device wraps a kernel interface whose calls block and cannot be cancelled. One
// call runs at a time. If a caller gives up, the call continues in the background
// and keeps its turn, so that at most one goroutine is ever stuck.
type device struct {
	name string
	read func(ReportData) ([]byte, error)
	turn chan struct{} // holds one value while read runs
}

var _ fetcher = (*device)(nil)

func newDevice(name string, read func(ReportData) ([]byte, error)) *device {
	return &device{name: name, read: read, turn: make(chan struct{}, 1)}
}

func (d *device) String() string { return d.name }

func (d *device) fetch(ctx context.Context, data ReportData) ([]byte, error) {
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
func (d *device) guarded(data ReportData) (raw []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			raw, err = nil, fmt.Errorf("the library for %s panicked with a %T", d.name, value)
		}
	}()
	return d.read(data)
}

// acquire waits for the turn. It always fails if ctx is already done.
func (d *device) acquire(ctx context.Context) error {
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

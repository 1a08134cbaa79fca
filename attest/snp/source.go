package snp

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ErrNoReport means that the machine returned no report.
var ErrNoReport = errors.New("no SEV-SNP report")

// ErrService means that the peer of a report socket refused.
var ErrService = errors.New("the peer answered")

// Source returns reports of this machine.
type Source interface {
	// Report returns a fresh report over data. Its error wraps ErrNoReport,
	// and the context's error if that is the reason.
	Report(ctx context.Context, data ReportData) (*Report, error)
	// String returns the name of the source for people, such as "/dev/sev-guest".
	String() string
}

// NewSource returns the source for spec: auto, sev-guest, configfs-tsm, or unix:/path.
// It opens nothing. Report opens the device each time, so that the device may appear
// later.
func NewSource(spec string) (Source, error) {
	path, isSocket := strings.CutPrefix(spec, "unix:")
	switch {
	case spec == "auto":
		return newAutomatic(newSevGuest(), newConfigFS()), nil
	case spec == "sev-guest":
		return single{newSevGuest()}, nil
	case spec == "configfs-tsm":
		return single{newConfigFS()}, nil
	case isSocket && filepath.IsAbs(path):
		return single{newSocket(path)}, nil
	}
	return nil, fmt.Errorf("report source %q: want auto, sev-guest, configfs-tsm or unix:/absolute/path", spec)
}

// fetcher requests the bytes of a report from one interface.
type fetcher interface {
	fetch(ctx context.Context, data ReportData) ([]byte, error)
	String() string
}

// single is the Source over one fetcher.
type single struct{ fetcher }

var _ Source = single{}

// Report implements [Source].
func (s single) Report(ctx context.Context, data ReportData) (*Report, error) {
	report, err := obtain(ctx, s.fetcher, data)
	if err != nil {
		return nil, fmt.Errorf("%w from %s: %w", ErrNoReport, s, err)
	}
	return report, nil
}

// obtain fetches a report and checks that it is over data, because an old report or
// one for another caller must not pass for a fresh one.
func obtain(ctx context.Context, f fetcher, data ReportData) (*Report, error) {
	raw, err := f.fetch(ctx, data)
	if err != nil {
		return nil, err
	}
	report, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	if report.ReportData() != data {
		return nil, errors.New("the report is over other data than was asked for")
	}
	return report, nil
}

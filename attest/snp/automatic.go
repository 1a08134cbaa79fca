package snp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
)

// automatic tries its candidates in turn until one returns a report. It then keeps
// using that one, because the interfaces of a running kernel do not change.
type automatic struct {
	candidates []fetcher
	kept       atomic.Pointer[single]
}

var _ Source = (*automatic)(nil)

func newAutomatic(candidates ...fetcher) *automatic { return &automatic{candidates: candidates} }

// String implements [Source].
func (a *automatic) String() string {
	if kept := a.kept.Load(); kept != nil {
		return kept.String()
	}
	return "auto"
}

// Report implements [Source].
func (a *automatic) Report(ctx context.Context, data ReportData) (*Report, error) {
	if kept := a.kept.Load(); kept != nil {
		return kept.Report(ctx, data)
	}
	var tried []string
	for _, candidate := range a.candidates {
		report, err := obtain(ctx, candidate, data)
		if err == nil {
			a.kept.Store(&single{candidate})
			return report, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w from %s: %w", ErrNoReport, candidate, err)
		}
		tried = append(tried, fmt.Sprintf("%s (%s)", candidate, finding(err)))
	}
	return nil, fmt.Errorf("%w source: tried %s", ErrNoReport, strings.Join(tried, ", "))
}

// finding describes the error of one candidate for operators.
func finding(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "not present"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	}
	return err.Error()
}

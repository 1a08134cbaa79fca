package sidecar

import (
	"runtime/debug"
	"testing"

	"skr/internal/config"
)

func TestCollectorIsTheOperators(t *testing.T) {
	percent, limit := debug.SetGCPercent(77), debug.SetMemoryLimit(1<<40)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	tuneCollector(config.Environment{"GOGC": "77", "GOMEMLIMIT": "1TiB"}, 1)()
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("GOGC of the environment was changed to %d", got)
	}
	if got := debug.SetMemoryLimit(-1); got != 1<<40 {
		t.Errorf("GOMEMLIMIT of the environment was changed to %d", got)
	}
	started := tuneCollector(config.Environment{}, 1)
	if got := debug.SetGCPercent(77); got != startPercent {
		t.Errorf("without GOGC the value is %d while skr starts", got)
	}
	started()
	if got := debug.SetGCPercent(77); got != gcPercent {
		t.Errorf("without GOGC the value is %d", got)
	}
	if got := debug.SetMemoryLimit(-1); got != softLimit {
		t.Errorf("without GOMEMLIMIT the value is %d", got)
	}
}

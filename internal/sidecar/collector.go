package sidecar

import (
	"runtime/debug"
	"time"

	"skr/internal/config"
)

const (
	// startPercent keeps the heap dense while the start makes garbage among what stays.
	// The start then ends with a half megabyte less, for 3 ms of processor.
	startPercent = 50
	// settleAfter is when the first KEK and connections have been made, too.
	settleAfter = 5 * time.Second
	// gcPercent: the sidecar's heap is two megabytes, and Go's own 100 would collect it
	// for every two that are allocated. That takes a tenth of the processor when kept keys
	// are asked for, and falls into the middle of releases. With 200, skr has 2 MB more
	// after a minute of releases.
	gcPercent = 150
	// softLimit in bytes, above which the collector works harder whatever gcPercent
	// says. It is for the usual number of requests that run at once, each of which may
	// hold a body of 256 KiB; with more places there is as much more.
	softLimit      = 48 << 20
	usualPlaces    = 128
	softLimitOfOne = softLimit / usualPlaces
)

// tuneCollector sets the collector for the start. It does not change what the operator
// has set in Go's own variables. The returned function ends the start: it sets the
// collector for requests, and gives back the memory that the start needed.
func tuneCollector(env config.Environment, places int) (started func()) {
	if env["GOMEMLIMIT"] == "" {
		debug.SetMemoryLimit(max(softLimit, softLimitOfOne*int64(places)))
	}
	own := env["GOGC"] == ""
	if own {
		debug.SetGCPercent(startPercent)
	}
	return func() {
		if own {
			debug.SetGCPercent(gcPercent)
		}
		debug.FreeOSMemory()
		time.AfterFunc(settleAfter, debug.FreeOSMemory)
	}
}

package sidecar

import (
	"runtime/debug"

	"skr/internal/config"
)

const (
	// gcPercent: the sidecar's heap is two or three megabytes, and Go's own 100 would
	// collect it for every four that are allocated. That takes a tenth of the
	// processor when kept keys are asked for, and falls into the middle of releases.
	gcPercent = 200
	// softLimit in bytes, above which the collector works harder whatever gcPercent
	// says. It is for the usual number of requests that run at once, each of which may
	// hold a body of 256 KiB; with more places there is as much more.
	softLimit      = 48 << 20
	usualPlaces    = 128
	softLimitOfOne = softLimit / usualPlaces
)

// tuneCollector leaves alone what the operator has set in Go's own variables.
func tuneCollector(env config.Environment, places int) {
	if env["GOGC"] == "" {
		debug.SetGCPercent(gcPercent)
	}
	if env["GOMEMLIMIT"] == "" {
		debug.SetMemoryLimit(max(softLimit, softLimitOfOne*int64(places)))
	}
}

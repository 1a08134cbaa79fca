package main

import "runtime/debug"

const (
	// gcPercent: the sidecar's heap is two or three megabytes, and Go's own 100 would
	// collect it for every four that are allocated. That takes a tenth of the
	// processor when kept keys are asked for, and falls into the middle of releases.
	gcPercent = 200
	// softLimit in bytes, above which the collector works harder whatever gcPercent
	// says: half of what the deployments in deploy/ allow a container.
	softLimit = 128 << 20
)

// tuneCollector leaves alone what the operator has set in Go's own variables.
func tuneCollector(env environment) {
	if env["GOGC"] == "" {
		debug.SetGCPercent(gcPercent)
	}
	if env["GOMEMLIMIT"] == "" {
		debug.SetMemoryLimit(softLimit)
	}
}

//go:build race

package e2e

import "time"

// requestTimeout under the race detector, which slows the emulated services,
// though not the sidecar, by an order of magnitude.
const requestTimeout = 20 * time.Second

//go:build !race

package e2e

import "time"

// requestTimeout of the sidecars that meet faults; services that say nothing
// cost it. The waits between four attempts are 3.5 s at most, and the attempts
// themselves are slow on a loaded machine.
const requestTimeout = 20 * time.Second

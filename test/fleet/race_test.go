//go:build race

package fleet

// The race detector counts at most 8128 goroutines that live at once, and each pod is one.
const (
	defaultPods = 1000
	detecting   = true
)

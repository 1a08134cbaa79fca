//go:build race

package fleet

// The race detector allows at most 8128 live goroutines, and each pod is one.
const (
	defaultPods = 1000
	detecting   = true
)

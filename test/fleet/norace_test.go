//go:build !race

package fleet

const (
	defaultPods = 4000
	detecting   = false
)

package serving

import (
	"math"

	"golang.org/x/sys/unix"
)

// Descriptors returns how many files this process may have open, RLIMIT_NOFILE.
func Descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

package secmem

import "os"

// Protection is how the kernel keeps memory for secrets.
type Protection string

// The protections, best first.
const (
	// SecretMemory (memfd_secret(2)) is locked, in no core dump, and absent from
	// the kernel's own mapping, so that neither ptrace nor a careless driver
	// reads it.
	SecretMemory Protection = "memfd_secret"
	// LockedMemory (mlock(2)) is never swapped, and in no core dump.
	LockedMemory Protection = "mlock"
	// None is the Go heap.
	None Protection = "none"
)

// protect maps at least size bytes of zeros in the best way that is allowed here.
func protect(size int) ([]byte, Protection) {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	if memory, err := mapSecret(size); err == nil {
		return memory, SecretMemory
	}
	if memory, err := mapLocked(size); err == nil {
		return memory, LockedMemory
	}
	return nil, None
}

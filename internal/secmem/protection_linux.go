package secmem

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const readWrite = unix.PROT_READ | unix.PROT_WRITE

// mapSecret needs Linux 5.14 and room under RLIMIT_MEMLOCK.
func mapSecret(size int) ([]byte, error) {
	fd, err := unix.MemfdSecret(unix.O_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }() // the mapping stays
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(fd, 0, size, readWrite, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return secluded(memory, touch)
}

func mapLocked(size int) ([]byte, error) {
	memory, err := unix.Mmap(-1, 0, size, readWrite, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	return secluded(memory, unix.Mlock)
}

// secluded makes the memory resident by the given means, and keeps it from core
// dumps and from children.
func secluded(memory []byte, settle func([]byte) error) ([]byte, error) {
	if err := settle(memory); err != nil {
		unprotect(memory)
		return nil, err
	}
	// Not every kernel knows these, and locked memory is worth having without.
	_ = unix.Madvise(memory, unix.MADV_DONTDUMP)
	_ = unix.Madvise(memory, unix.MADV_DONTFORK)
	return memory, nil
}

// touch takes the page faults at once: one that the kernel cannot serve would
// otherwise end the process in the middle of a secret.
func touch(memory []byte) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = unix.ENOMEM
		}
	}()
	for at := 0; at < len(memory); at += os.Getpagesize() {
		memory[at] = 0
	}
	return nil
}

// unprotect gives memory back to the kernel, which is the last we hear of it.
func unprotect(memory []byte) { _ = unix.Munmap(memory) }

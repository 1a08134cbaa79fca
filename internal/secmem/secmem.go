// Package secmem keeps secrets in protected memory and redacts them.
//
// A [Buffer] contains a secret outside the Go heap, in memory that the kernel neither swaps
// nor writes to a core dump. [Text] is a bearer token in a Buffer:
//
//	held := secmem.Hold(secret) // secret is zeros now
//	defer held.Wipe()
//	err := held.Use(func(secret []byte) error { return send(secret) })
//
// The memory is an arena of chunks from memfd_secret, which are absent even from the
// kernel's own mapping. If the kernel lacks it, the memory is locked anonymous memory. If
// that is not allowed, it is the Go heap. [Status] tells which. A Buffer that is not wiped
// is wiped when it becomes unreachable.
//
// Secrets print as "[redacted]". [Wipe] overwrites byte slices on the heap, [Scrub] removes
// possible secrets from the text of another program, and [Do] erases the traces of a
// computation in builds that support it.
//
// The package does not protect against code of this process, and does not reach copies that
// others made: [Text.Reveal] makes one for each request. See LIMITATIONS.md.
package secmem

const redacted = "[redacted]"

// Wipe overwrites each of the byte slices with zeros.
func Wipe(secrets ...[]byte) {
	for _, secret := range secrets {
		clear(secret)
	}
}

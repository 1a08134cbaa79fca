// Package secmem keeps secrets where they are hard to find.
//
// A [Buffer] holds a secret outside the Go heap, in memory that the kernel
// neither swaps nor writes to a core dump. [Text] is a bearer token that lives in
// a Buffer:
//
//	held := secmem.Hold(secret) // secret is zeros now
//	defer held.Wipe()
//	err := held.Use(func(secret []byte) error { return send(secret) })
//
// The memory is an arena of chunks from memfd_secret, which even the kernel's
// own mapping does not show; where the kernel has none, anonymous memory that is
// locked; and where that is not allowed either, the Go heap, of which [Status]
// tells. A Buffer that nobody wiped is wiped when it becomes unreachable.
//
// All of them print as "[redacted]". [Wipe] overwrites what is on the heap,
// [Scrub] cleans what a stranger said, and [Do] erases the traces of a
// computation in builds that can.
//
// It does not protect from code of this process, which maps the memory too, nor
// reach copies that others made: [Text.Reveal] makes one for each sending.
// LIMITATIONS.md says more.
package secmem

const redacted = "[redacted]"

// Wipe overwrites each of the byte slices with zeros.
func Wipe(secrets ...[]byte) {
	for _, secret := range secrets {
		clear(secret)
	}
}

//go:build goexperiment.runtimesecret

package secmem

import "runtime/secret"

// Erases reports whether [Do] erases traces.
const Erases = true

// Do calls f. The registers and the stack that f used are erased when it
// returns, and what it allocated when the garbage collector finds it
// unreachable. f must not start goroutines,
// whose traces would remain.
func Do(f func()) { secret.Do(f) }

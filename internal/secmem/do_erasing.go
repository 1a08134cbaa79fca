//go:build goexperiment.runtimesecret

package secmem

import "runtime/secret"

// Erases says whether [Do] erases what it says.
const Erases = true

// Do calls f. The registers and the stack that f used are erased when it
// returns, and what it allocated when the garbage collector finds it
// unreachable. f starts no goroutine: what that one did would stay.
func Do(f func()) { secret.Do(f) }

//go:build !goexperiment.runtimesecret

package secmem

// Erases says whether [Do] erases what it says.
const Erases = false

// Do calls f. In a program that was built with GOEXPERIMENT=runtimesecret, the
// registers and the stack that f used are erased when it returns, and what it
// allocated when the garbage collector finds it unreachable. f starts no
// goroutine: what that one did would stay.
func Do(f func()) { f() }

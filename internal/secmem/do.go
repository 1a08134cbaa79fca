//go:build !goexperiment.runtimesecret

package secmem

// Erases reports whether [Do] erases traces.
const Erases = false

// Do calls f. In a program that was built with GOEXPERIMENT=runtimesecret, the
// registers and the stack that f used are erased when it returns, and what it
// allocated when the garbage collector finds it unreachable. f must not
// start goroutines, whose traces would remain.
func Do(f func()) { f() }

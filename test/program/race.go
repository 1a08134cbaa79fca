//go:build race

package program

// raced reports whether the tests, and so the programs, have the race detector.
const raced = true

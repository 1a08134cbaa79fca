//go:build race

package program

// raced: programs are built with the race detector if the tests are.
const raced = true

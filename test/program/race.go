//go:build race

package program

// raced: what watches the tests watches the programs too.
const raced = true

// Package outside builds another module against the packages of this one that are importable,
// and runs what it has built. The program of that module is in testdata/module: each file adds
// a step, and the test says what the step prints.
package outside

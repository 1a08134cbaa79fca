// Package limits feeds every parser of remote bytes the largest accepted input
// in the most expensive shapes. It compares what the parser allocates with the
// input's size, and the process's memory with a fixed bound.
package limits

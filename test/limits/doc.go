// Package limits feeds every parser of remote bytes the largest input that it
// accepts, in the shapes that cost most, and holds what it allocates against the
// input's size and the process's memory against a fixed bound.
package limits

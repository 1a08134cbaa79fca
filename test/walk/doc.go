// Package walk records the path of a key: which packages and files of this repository
// one release enters, and in which order. It is tests only.
//
// The tests build skr with a recorder in each function, by an overlay of its sources
// (go help build, -overlay), and have it release a key of the emulated cloud. So the
// record has every function that runs for the request, and none that does not.
package walk

// Package release checks how releases are built: the workflows, their tools, and the files of a
// snapshot that goreleaser has made.
package release

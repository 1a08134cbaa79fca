// Package container tests the image of skr: its build, its contents, and how it runs under
// the manifests.
package container

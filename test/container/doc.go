// Package container tests the image of skr: how it is built, what is in it, and how
// it runs as the manifests run it. It is tests only.
package container

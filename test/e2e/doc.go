// Package e2e runs the real binary against the emulated cloud, as a pod does.
// It is tests only.
package e2e

// Package e2e tests the real binary against the emulated cloud, as in a pod.
package e2e

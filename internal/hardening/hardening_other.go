//go:build !linux

package hardening

// Only Linux has these measures. skr, which holds keys, runs only on Linux.

func refuseDumps() error { return nil }

func refuseCores() error { return nil }

func refusePrivileges() error { return nil }

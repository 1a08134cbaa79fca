//go:build !linux

package hardening

// Only Linux has these measures; skr, which keeps keys, runs on Linux alone.

func refuseDumps() error { return nil }

func refuseCores() error { return nil }

func refusePrivileges() error { return nil }

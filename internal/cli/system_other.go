//go:build !linux

package cli

import "os"

// isMountPoint returns nil: single files are mounted only in Linux containers.
func isMountPoint(string) error { return nil }

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const noWait = 0

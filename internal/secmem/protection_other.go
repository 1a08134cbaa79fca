//go:build !linux

package secmem

import "errors"

// Only Linux has ways to protect memory that this package knows: see [None].

func mapSecret(int) ([]byte, error) { return nil, errors.ErrUnsupported }

func mapLocked(int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unprotect([]byte) {}

//go:build !linux

package snp

import (
	"errors"
	"fmt"
)

// openSevGuest returns an error: the driver is Linux's.
func openSevGuest(path string) (firmwareDevice, error) {
	return nil, fmt.Errorf("opening %s: %w", path, errors.ErrUnsupported)
}

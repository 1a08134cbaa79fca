//go:build !linux

package tpm

import (
	"context"
	"errors"
	"os"
)

// openDevice returns an error: the driver is Linux's.
func openDevice(_ context.Context, path string) (link, error) {
	return nil, &os.PathError{Op: "open", Path: path, Err: errors.ErrUnsupported}
}

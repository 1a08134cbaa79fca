package tpm

import (
	"context"
	"net"
)

func dialSocket(ctx context.Context, path string) (link, error) {
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

// Package serving accepts connections within a limit, and runs an HTTP server until
// its context ends.
//
//	bound := serving.NewBound(64, logger)
//	err := serving.Until(ctx, server, grace, bound.Listener(socket))
//
// A [Bound] decides before a byte is read, by what the kernel knows of the peer. Its
// caller sets the limits. [WithHolder] and [Holder] name the process that holds an
// address which this one cannot have.
package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Until serves the sockets and closes them. When ctx ends it stops accepting,
// lets running requests end within grace, and returns nil; requests that take
// longer are cut off, which is an error. A socket that fails stops all.
func Until(ctx context.Context, server *http.Server, grace time.Duration, sockets ...net.Listener) error {
	failed := make(chan error, len(sockets))
	for _, socket := range sockets {
		go func() { failed <- server.Serve(socket) }()
	}
	select {
	case err := <-failed:
		return errors.Join(fmt.Errorf("accepting a connection: %w", err), stop(ctx, server, grace))
	case <-ctx.Done():
		return stop(ctx, server, grace)
	}
}

// stop waits for grace, also where ctx has ended, which is the usual case.
func stop(ctx context.Context, server *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("stopping: cutting off requests after %v: %w", grace, err)
	}
	return nil
}

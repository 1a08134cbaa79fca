package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"skr/internal/cli"
)

// healthcheckGRPC calls grpc.health.v1.Health/Check (grpc/doc/health-checking.md) until the
// sidecar is ready. One request and one response of a few bytes do not justify a gRPC client.
func healthcheckGRPC(ctx context.Context, listen string, wait time.Duration, streams cli.Streams) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	client := &http.Client{Transport: plainHTTP2(listen)}
	for {
		err := checkGRPC(ctx, client)
		if err == nil {
			_, err = fmt.Fprintln(streams.Out, "ready")
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the sidecar at %s is not ready: %w (last: %w)", listen, ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// plainHTTP2 connects to listen and ignores the host of the URL.
func plainHTTP2(listen string) *http.Transport {
	network, address := "tcp", listen
	if path, isUnix := strings.CutPrefix(listen, "unix:"); isUnix {
		network, address = "unix", path
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, address)
		},
	}
}

// A gRPC message begins with one byte for compression and four for its length
// (grpc/doc/PROTOCOL-HTTP2.md). An empty HealthCheckRequest has no bytes. SERVING is field 1 with
// value 1.
var (
	emptyMessage   = []byte{0, 0, 0, 0, 0}
	servingMessage = []byte{0, 0, 0, 0, 2, 0x08, 0x01}
)

func checkGRPC(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/grpc.health.v1.Health/Check", bytes.NewReader(emptyMessage))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("Te", "trailers")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read only
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64))
	if err != nil {
		return err
	}
	if !bytes.Equal(answer, servingMessage) {
		return errors.New("skr is not ready")
	}
	return nil
}

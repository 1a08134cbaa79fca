package server

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"skr/api"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/keyproviderpb"
	"skr/internal/sidecar/ops"
)

// serveGRPC returns a connection and a function that stops the server and returns its result.
func serveGRPC(t *testing.T, p *pipeline, change func(*Config)) (*grpc.ClientConn, func() error) {
	t.Helper()
	return dialGRPC(t, newServer(t, p, change))
}

// dialGRPC is serveGRPC for a server that is there.
func dialGRPC(t *testing.T, s *Server) (*grpc.ClientConn, func() error) {
	t.Helper()
	listener, err := Listen(t.Context(), "127.0.0.1:0", OwnerOnly)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.ServeGRPC(ctx, listener) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	conn, err := grpc.NewClient(listener.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, stop
}

func askReport(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := keyproviderpb.NewKeyProviderServiceClient(conn).GetReport(ctx, &keyproviderpb.KeyProviderGetReportInput{ReportDataHexString: "00"})
	return err
}

// A panic is an internal error of that one request. The caller learns nothing about it.
func TestGRPCPanic(t *testing.T) {
	p := newPipeline(t)
	p.fail = func(context.Context) error { panic("s3cr3t") }
	var log strings.Builder
	conn, stop := serveGRPC(t, p, func(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	err := askReport(t.Context(), conn)
	if status.Code(err) != grpccodes.Internal || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
	p.fail = nil
	if err := askReport(t.Context(), conn); err != nil {
		t.Errorf("the next request got %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "s3cr3t") || !strings.Contains(log.String(), `"stack"`) {
		t.Errorf("log is %s", &log)
	}
}

// skr's deadline and a caller that leaves both end the work. One log line reports each.
func TestGRPCEnds(t *testing.T) {
	for code, tc := range map[string]struct {
		deadline time.Duration
		leave    bool
		want     grpccodes.Code
	}{
		"timeout": {50 * time.Millisecond, false, grpccodes.DeadlineExceeded},
		"gone":    {time.Minute, true, grpccodes.Canceled},
	} {
		t.Run(code, func(t *testing.T) {
			asked, told := make(chan struct{}), make(chan journal.Outcome, 1)
			p := newPipeline(t)
			p.fail = func(ctx context.Context) error { close(asked); <-ctx.Done(); return ctx.Err() }
			conn, _ := serveGRPC(t, p, func(c *Config) {
				c.Deadline = tc.deadline
				c.Finished = func(o journal.Outcome) { told <- o }
			})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if tc.leave {
				go func() { <-asked; leave() }()
			}
			if err := askReport(ctx, conn); status.Code(err) != tc.want {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if o := <-told; o.Code != code || o.Route != RouteReport || o.RequestID == "" {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

// A method that releases a key names it in the log, like POST /key/release. This key opens
// nothing but was released.
func TestGRPCNamesTheKey(t *testing.T) {
	var log strings.Builder
	conn, stop := serveGRPC(t, newPipeline(t), func(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	encode := base64.StdEncoding.EncodeToString
	annotation := `{"kid":"demo","wrapped_data":"` + encode(make([]byte, 256)) + `","wrap_type":"rsa_2048",` +
		`"kms_endpoint":"contoso.vault.azure.net","attester_endpoint":"sharedeus.eus.attest.azure.net"}`
	input := `{"op":"keyunwrap","keyunwrapparams":{"dc":{"Parameters":{"attestation-agent":["` + encode([]byte("skr")) + `"]}},"annotation":"` +
		encode([]byte(annotation)) + `"}}`
	var header metadata.MD
	_, err := keyproviderpb.NewKeyProviderServiceClient(conn).UnWrapKey(t.Context(),
		&keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: []byte(input)}, grpc.Header(&header))
	if status.Code(err) != grpccodes.InvalidArgument || !strings.Contains(err.Error(), "no RSA key") {
		t.Errorf("got %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := header.Get(api.HeaderKeyID); !slices.Equal(got, []string{keyID}) || !strings.Contains(log.String(), `"key":"`+keyID+`"`) {
		t.Errorf("the header names %q; log %s", got, &log)
	}
}

func TestGRPCHealth(t *testing.T) {
	ready := errors.New("not yet")
	conn, _ := serveGRPC(t, newPipeline(t), func(c *Config) { c.Parts = ops.Parts{{Name: "evidence", Err: func() error { return ready }}} })
	client := grpc_health_v1.NewHealthClient(conn)
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{grpc_health_v1.HealthCheckResponse_NOT_SERVING,
		grpc_health_v1.HealthCheckResponse_SERVING} {
		got, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil || got.GetStatus() != want {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
		ready = nil
	}
}

package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/time/rate"
)

var limitless = rate.NewLimiter(rate.Inf, 0)

// keeper is an exporter that records spans.
type keeper struct{ spans []sdk.ReadOnlySpan }

func (k *keeper) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	k.spans = append(k.spans, spans...)
	return nil
}
func (*keeper) Shutdown(context.Context) error { return nil }

// stuckExporter blocks until its context ends.
type stuckExporter struct{}

func (stuckExporter) ExportSpans(ctx context.Context, _ []sdk.ReadOnlySpan) error {
	<-ctx.Done()
	return ctx.Err()
}
func (stuckExporter) Shutdown(context.Context) error { return nil }

func TestEndpoint(t *testing.T) {
	const base, own = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	type env map[string]string
	for _, c := range []struct {
		env     env
		want    string
		failure string
	}{
		{env{}, "", ""},
		{env{base: "http://c:4318"}, "http://c:4318/v1/traces", ""},
		{env{base: "https://c/otlp/"}, "https://c/otlp/v1/traces", ""},
		{env{own: "http://c:4318/x"}, "http://c:4318/x", ""},
		{env{own: "http://c:4318/x", base: "http://d"}, "http://c:4318/x", ""},
		{env{base: "http://c", "OTEL_SDK_DISABLED": "TRUE"}, "", ""},
		{env{base: "http://c", "OTEL_TRACES_EXPORTER": "none"}, "", ""},
		{env{base: "http://c", "OTEL_TRACES_EXPORTER": "otlp"}, "http://c/v1/traces", ""},
		{env{base: "http://c", "OTEL_TRACES_EXPORTER": "console"}, "", "neither otlp nor none"},
		{env{base: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://c/v1/traces", ""},
		{env{base: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "", `"grpc" is not supported`},
		{env{base: "http://c", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "", "not supported"},
		{env{base: "http://c", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://c/v1/traces", ""},
		{env{base: "c:4318"}, "", "not an http"},
		{env{base: "unix:///run/c.sock"}, "", "not an http"},
		{env{base: "http://"}, "", "not an http"},
		{env{base: "http://c:%zz" + secretText}, "", "not an http"},
		{env{base: "http://u:" + secretText + "@c"}, "", "user name"},
		{env{own: "http://c/?key=" + secretText}, "", "query"},
	} {
		got, err := endpointOf(func(name string) string { return c.env[name] })
		if got != c.want || (err != nil) != (c.failure != "") || err != nil && !strings.Contains(err.Error(), c.failure) {
			t.Errorf("%v: %q, %v", c.env, got, err)
		}
		if err != nil && strings.Contains(err.Error(), secretText) {
			t.Errorf("the error contains the text: %v", err)
		}
	}
}

func TestNoEndpoint(t *testing.T) {
	tracer, err := New(t.Context(), Config{Getenv: func(string) string { return "" }})
	if tracer != nil || err != nil {
		t.Errorf("%v, %v", tracer, err)
	}
}

// A setting that the library would ignore is an error.
func TestMalformedSettings(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_TRACES_SAMPLER":            "sometimes",
		"OTEL_EXPORTER_OTLP_CERTIFICATE": "/does/not/exist.pem",
		"OTEL_EXPORTER_OTLP_TIMEOUT":     "soon",
		"OTEL_RESOURCE_ATTRIBUTES":       "nothing",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(name, value)
			if _, err := New(t.Context(), Config{Getenv: os.Getenv}); err == nil {
				t.Error("no error")
			}
		})
	}
}

// Warnings do not contain the collector's text.
func TestCause(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&url.Error{Op: "Post", URL: "http://c", Err: refused}, "dial tcp: connect: connection refused"},
		{&url.Error{Op: "Post", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, "the TLS certificate of the collector does not verify"},
		{fmt.Errorf("traces export: failed to send to http://c: 401 %s (body: %s)", secretText, secretText), "the collector answered with status 401"},
		{fmt.Errorf("retry: %w: body: %s", context.DeadlineExceeded, secretText), "the collector did not answer in time"},
		{errors.New("OTLP partial success: " + secretText), "the collector is failing or refuses spans"},
		{&url.Error{Op: "Post", Err: fmt.Errorf("malformed HTTP response %q", secretText)}, "the collector is failing or refuses spans"},
	} {
		if got := cause(c.err); got != c.want {
			t.Errorf("%v: %q", c.err, got)
		}
	}
}

// A dead collector causes one warning a minute.
func TestWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		c := listen(slog.New(slog.NewJSONHandler(&log, nil)))
		defer listen(slog.New(slog.DiscardHandler))
		if err := c.settle(); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			c.Handle(errors.New(secretText))
			time.Sleep(time.Second)
		}
		if got := strings.Count(log.String(), "traces are lost"); got != 2 || strings.Contains(log.String(), secretText) {
			t.Errorf("%d warnings in 100 s: %s", got, log.String())
		}
	})
}

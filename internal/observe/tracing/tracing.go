// Package tracing sends a trace of each request to an OpenTelemetry collector,
// by OTLP over HTTP, where the OTEL_* environment asks for it:
//
//	tracer, err := tracing.New(ctx, tracing.Config{Getenv: os.Getenv, Version: "1.2.3", Logger: log})
//	defer tracer.Shutdown(ctx)
//	tracer.Finished(outcome) // a nil tracer does nothing
//
// Spans are made of a [journal.Outcome] when the request is over: one for the
// request, and in it one for each stage and for each exchange with a service. Tracing
// delays no request: spans go to a bounded queue, what does not fit is dropped, and a
// collector that is slow or dead costs a warning a minute.
//
// A span says which stage, service, code and status; no key, host, caller or
// error text, as the outcome holds none.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

const (
	maxQueue    = 2048             // spans, some 2 MB: 200 requests
	maxBatch    = 512              // spans in one export
	maxValue    = 64               // bytes of an attribute; a request id has that many
	maxAnswer   = 64 << 10         // bytes of the collector's answer, which is not shown
	perSecond   = 100              // requests that are traced, also if callers want more
	burst       = 2 * perSecond    // after a quiet time
	exportTime  = 10 * time.Second // of one batch, with what is tried again
	endGrace    = 5 * time.Second  // for what is queued when skr stops
	serviceName = "skr"            // unless OTEL_SERVICE_NAME says something else
)

// Config says what to trace with.
type Config struct {
	// Getenv reads the process environment: the library reads it too.
	Getenv func(name string) string
	// Version of skr.
	Version string
	// Logger gets a warning a minute while spans cannot be sent; nil means none.
	Logger *slog.Logger
}

// Tracer sends spans. It is safe for concurrent use; a nil one does nothing.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	volume   *rate.Limiter
}

// New makes a tracer, or returns nil where the environment asks for none. A
// setting that cannot be followed is an error. New sends nothing.
//
// The library's complaints have one global receiver: that of the last New.
func New(ctx context.Context, c Config) (*Tracer, error) {
	endpoint, err := endpointOf(c.Getenv)
	if err != nil || endpoint == "" {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	complaints := listen(c.Logger)
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint),
		otlptracehttp.WithProxy(proxy), otlptracehttp.WithMaxResponseSize(maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_*: %w", err)
	}
	provider := newProvider(exporter, c.Version)
	if err := complaints.settle(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading OTEL_*: %w", err), provider.Shutdown(ctx))
	}
	return &Tracer{provider, provider.Tracer(serviceName), rate.NewLimiter(perSecond, burst)}, nil
}

func newProvider(exporter sdk.SpanExporter, version string) *sdk.TracerProvider {
	limits := sdk.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxValue
	return sdk.NewTracerProvider(
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(maxQueue), sdk.WithMaxExportBatchSize(maxBatch), sdk.WithExportTimeout(exportTime)),
		sdk.WithResource(describe(version)),
		sdk.WithRawSpanLimits(limits),
	)
}

// describe is who we are; the environment may add to it and change it.
func describe(version string) *resource.Resource {
	ours := resource.NewSchemaless(attribute.String("service.name", serviceName), attribute.String("service.version", version))
	merged, err := resource.Merge(ours, resource.Environment())
	if err != nil {
		return ours // two schemas: ours has none
	}
	return merged
}

// proxy returns the proxy of the environment. It is called before each request, so it can
// refuse redirects: the collector's credentials must go nowhere else.
func proxy(r *http.Request) (*url.URL, error) {
	if r.Response != nil {
		return nil, errRedirect
	}
	return http.ProxyFromEnvironment(r)
}

// Shutdown sends what is queued, for five seconds at most, and ends the tracer.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, endGrace)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last spans: %s", cause(err))
	}
	return nil
}

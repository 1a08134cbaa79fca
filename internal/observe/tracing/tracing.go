// Package tracing sends a trace of each request to an OpenTelemetry collector with OTLP over HTTP, if the
// OTEL_* variables configure it:
//
//	tracer, err := tracing.New(ctx, tracing.Config{Getenv: os.Getenv, Version: "1.2.3", Logger: log})
//	defer tracer.Shutdown(ctx)
//	tracer.Finished(outcome) // a nil tracer does nothing
//
// Spans are created from a [journal.Outcome] after the request: one for the request, with one for each
// stage and for each exchange with a service. Tracing delays no request. Spans go to a bounded queue, and
// spans that do not fit are dropped. A slow or dead collector causes a warning per minute.
//
// A span contains the stage, service, code and status, but no key, host, caller or error text.
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
	maxAnswer   = 64 << 10         // bytes of the collector's answer, which is not logged
	perSecond   = 100              // traced requests
	burst       = 2 * perSecond    // after a quiet time
	exportTime  = 10 * time.Second // of one batch, including retries
	endGrace    = 5 * time.Second  // for queued spans when skr stops
	serviceName = "skr"            // unless OTEL_SERVICE_NAME is set
)

// Config configures a Tracer.
type Config struct {
	// Getenv reads the process environment, which the library reads too.
	Getenv func(name string) string
	// Version is the version of skr.
	Version string
	// Logger gets a warning per minute while spans cannot be sent; nil disables it.
	Logger *slog.Logger
}

// Tracer sends spans. It is safe for concurrent use. A nil Tracer does nothing.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	volume   *rate.Limiter
}

// New returns a tracer, or nil if the environment does not configure one. It returns an error if a
// variable is wrong or not supported. New sends nothing.
//
// The library has one global error handler, which New replaces.
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

// describe returns the attributes of the service. Variables may add and override attributes.
func describe(version string) *resource.Resource {
	ours := resource.NewSchemaless(attribute.String("service.name", serviceName), attribute.String("service.version", version))
	merged, err := resource.Merge(ours, resource.Environment())
	if err != nil {
		return ours // the schemas differ; ours has none
	}
	return merged
}

// proxy returns the proxy of the environment. It is called before each request, so it can refuse
// redirects, which would send the collector's credentials elsewhere.
func proxy(r *http.Request) (*url.URL, error) {
	if r.Response != nil {
		return nil, errRedirect
	}
	return http.ProxyFromEnvironment(r)
}

// Shutdown sends the queued spans, for at most five seconds, and ends the tracer.
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

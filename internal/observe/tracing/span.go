package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"skr/internal/observe/journal"
)

// Finished creates the spans of a completed request. It never blocks.
func (t *Tracer) Finished(o journal.Outcome) {
	if t == nil {
		return
	}
	ctx, request := t.tracer.Start(parent(o.Parent), o.Route,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(o.Start),
		trace.WithAttributes(attribute.String("skr.request_id", o.RequestID), attribute.String("skr.code", o.Code)))
	if !request.IsRecording() || !t.volume.Allow() {
		return // a span without End is not sent
	}
	for _, span := range o.Spans {
		t.stage(ctx, span, o)
	}
	for _, call := range o.Calls {
		t.call(ctx, call)
	}
	if o.Code != "ok" {
		request.SetStatus(codes.Error, o.Code)
	}
	request.End(trace.WithTimestamp(o.End))
}

// parent returns a context with the caller's span, or without one if it is malformed.
func parent(traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
}

// stage creates the span of a stage. A stage that still runs for another request ends with this request.
func (t *Tracer) stage(ctx context.Context, s journal.Span, o journal.Outcome) {
	_, span := t.tracer.Start(ctx, string(s.Stage), trace.WithTimestamp(s.Start))
	if s.Failed {
		span.SetStatus(codes.Error, "")
	}
	end := s.End
	if end.IsZero() {
		end = o.End
	}
	span.End(trace.WithTimestamp(end))
}

// call creates the span of an exchange. It has no status if there was no answer.
func (t *Tracer) call(ctx context.Context, c journal.Call) {
	_, span := t.tracer.Start(ctx, c.Service, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(c.Start))
	span.SetAttributes(attribute.String("skr.service", c.Service))
	if c.Status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", c.Status))
	}
	if c.RequestID != "" {
		span.SetAttributes(attribute.String("skr.upstream_request_id", c.RequestID))
	}
	if c.Status == 0 || c.Status >= 400 {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(c.End))
}

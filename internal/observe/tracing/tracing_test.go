package tracing

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"skr/internal/observe/journal"
)

const secretText = "hunter2-do-not-print"

// collected is an OTLP collector that records requests.
type collected struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*spans.Span
	resource map[string]string
	header   http.Header
}

func collect(t *testing.T) *collected {
	t.Helper()
	c := &collected{resource: map[string]string{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := &collector.ExportTraceServiceRequest{}
	if err != nil || proto.Unmarshal(body, request) != nil || r.URL.Path != "/v1/traces" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	for _, resource := range request.ResourceSpans {
		c.resource = attributes(resource.Resource.Attributes)
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

func attributes(list []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, one := range list {
		all[one.Key] = one.Value.GetStringValue()
		if _, number := one.Value.Value.(*common.AnyValue_IntValue); number {
			all[one.Key] = fmt.Sprint(one.Value.GetIntValue())
		}
	}
	return all
}

// newTracer uses the environment of the test process, like the library.
func newTracer(t *testing.T, log io.Writer) *Tracer {
	t.Helper()
	tracer, err := New(t.Context(), Config{Getenv: os.Getenv, Version: "1.2.3", Logger: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

var start = time.Unix(1_700_000_000, 0)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func outcome() journal.Outcome {
	return journal.Outcome{
		RequestID: "r1", Route: "/key/release", Code: "release_rejected", Start: start, End: at(300),
		Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Notes: journal.Notes{
			Spans: []journal.Span{
				{Stage: journal.Admit, Start: at(1), End: at(2)},
				{Stage: journal.Appraise, Start: at(10)},
				{Stage: journal.Release, Start: at(100), End: at(290), Failed: true},
			},
			Calls: []journal.Call{
				{Service: "vault", Start: at(110), End: at(280), Status: 403, RequestID: "x-1"},
				{Service: "maa", Start: at(20), End: at(90)},
			},
		},
	}
}

func TestSpans(t *testing.T) {
	c := collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization="+secretText)
	var log bytes.Buffer
	tracer := newTracer(t, &log)
	tracer.Finished(outcome())
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]*spans.Span{}
	for _, span := range c.spans {
		got[span.Name] = span
	}
	root := got["/key/release"]
	if len(c.spans) != 6 || root == nil {
		t.Fatalf("%d spans: %v", len(c.spans), c.spans)
	}
	if trace, parent := hex.EncodeToString(root.TraceId), hex.EncodeToString(root.ParentSpanId); trace != "0af7651916cd43dd8448eb211c80319c" ||
		parent != "b7ad6b7169203331" {
		t.Errorf("trace %s, parent %s", trace, parent)
	}
	for name, want := range map[string]struct {
		kind       spans.Span_SpanKind
		begin, end int
		failed     bool
		attributes string
	}{
		"/key/release": {spans.Span_SPAN_KIND_SERVER, 0, 300, true, "map[skr.code:release_rejected skr.request_id:r1]"},
		"admit":        {spans.Span_SPAN_KIND_INTERNAL, 1, 2, false, "map[]"},
		"appraise":     {spans.Span_SPAN_KIND_INTERNAL, 10, 300, false, "map[]"},
		"release":      {spans.Span_SPAN_KIND_INTERNAL, 100, 290, true, "map[]"},
		"vault":        {spans.Span_SPAN_KIND_CLIENT, 110, 280, true, "map[http.response.status_code:403 skr.service:vault skr.upstream_request_id:x-1]"},
		"maa":          {spans.Span_SPAN_KIND_CLIENT, 20, 90, true, "map[skr.service:maa]"},
	} {
		span := got[name]
		if span == nil {
			t.Errorf("no span %s", name)
			continue
		}
		if begin, end := span.StartTimeUnixNano, span.EndTimeUnixNano; begin != uint64(at(want.begin).UnixNano()) || end != uint64(at(want.end).UnixNano()) {
			t.Errorf("%s from %d to %d", name, begin, end)
		}
		if failed := span.Status.GetCode() == spans.Status_STATUS_CODE_ERROR; span.Kind != want.kind || failed != want.failed {
			t.Errorf("%s is %v, failed %v", name, span.Kind, failed)
		}
		if told := fmt.Sprint(attributes(span.Attributes)); told != want.attributes {
			t.Errorf("%s has %s", name, told)
		}
		if name != "/key/release" && !bytes.Equal(span.ParentSpanId, root.SpanId) {
			t.Errorf("%s is outside the request", name)
		}
	}
	if c.resource["service.name"] != "skr" || c.resource["service.version"] != "1.2.3" || len(c.resource) != 2 {
		t.Errorf("resource %v", c.resource)
	}
	if c.header.Get("Authorization") != secretText || log.Len() > 0 {
		t.Errorf("header %v, log %s", c.header, log.String())
	}
}

func TestServiceName(t *testing.T) {
	c := collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL+"/v1/traces")
	t.Setenv("OTEL_SERVICE_NAME", "kafka-skr")
	tracer := newTracer(t, io.Discard)
	tracer.Finished(outcome())
	if err := tracer.Shutdown(t.Context()); err != nil || c.resource["service.name"] != "kafka-skr" {
		t.Errorf("%v, resource %v", err, c.resource)
	}
}

// The environment's sampler decides. The caller's flag counts only if that sampler uses it.
func TestSampler(t *testing.T) {
	const unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, c := range []struct {
		sampler, arg, parent string
		traced               bool
	}{
		{"", "", "", true},
		{"", "", unsampled, false},
		{"", "", "00-malformed", true},
		{"always_on", "", unsampled, true},
		{"always_off", "", outcome().Parent, false},
		{"traceidratio", "0", outcome().Parent, false},
	} {
		server := collect(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
		t.Setenv("OTEL_TRACES_SAMPLER", c.sampler)
		t.Setenv("OTEL_TRACES_SAMPLER_ARG", c.arg)
		tracer := newTracer(t, io.Discard)
		o := outcome()
		o.Parent = c.parent
		tracer.Finished(o)
		if err := tracer.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if traced := len(server.spans) > 0; traced != c.traced {
			t.Errorf("sampler %q %q, parent %q: traced %v", c.sampler, c.arg, c.parent, traced)
		}
	}
}

// A caller that requests traces for everything gets a bounded number.
func TestVolume(t *testing.T) {
	c := collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	tracer := newTracer(t, io.Discard)
	tracer.volume.SetLimit(0)
	for range 2 * burst {
		tracer.Finished(journal.Outcome{Route: "none", Code: "ok", Parent: outcome().Parent})
	}
	if err := tracer.Shutdown(t.Context()); err != nil || len(c.spans) != burst {
		t.Errorf("%v, %d traces", err, len(c.spans))
	}
}

// While the collector does not answer, spans beyond the queue are dropped and no caller
// blocks. Otherwise this test would not end.
func TestDeadCollector(t *testing.T) {
	stuck := make(chan struct{})
	c := &collected{resource: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-stuck
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	tracer := newTracer(t, io.Discard)
	o := outcome()
	for range 64 {
		o.Spans = append(o.Spans, journal.Span{Stage: journal.Report, Start: at(1), End: at(2)})
	}
	for range burst { // six times the queue
		tracer.Finished(o)
	}
	close(stuck)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(c.spans); n < maxQueue || n > maxQueue+2*maxBatch { // one batch is being sent, another is being built
		t.Errorf("%d spans were kept", n)
	}
}

// Shutdown waits for the last spans for a limited time.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newProvider(stuckExporter{}, "")
		tracer := &Tracer{provider, provider.Tracer(serviceName), limitless}
		tracer.Finished(outcome())
		begin := time.Now()
		if err := tracer.Shutdown(t.Context()); err == nil || time.Since(begin) != endGrace {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		time.Sleep(exportTime) // by then the exporter has ended
	})
}

// A redirect is not followed, so the credentials reach only the collector.
func TestRedirect(t *testing.T) {
	other := collect(t)
	first := httptest.NewServer(http.RedirectHandler(other.URL+"/v1/traces", http.StatusTemporaryRedirect))
	defer first.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", first.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key="+secretText)
	var log bytes.Buffer
	tracer := newTracer(t, &log)
	tracer.Finished(outcome())
	_ = tracer.Shutdown(t.Context()) // the warning reports the redirect
	if len(other.spans) > 0 || other.header != nil {
		t.Errorf("the redirect was followed: %v", other.header)
	}
	if !strings.Contains(log.String(), "redirect") {
		t.Errorf("the log is %s", log.String())
	}
}

// The URL decides about TLS, whatever the environment says elsewhere.
func TestInsecure(t *testing.T) {
	plain := collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", strings.Replace(plain.URL, "http:", "https:", 1))
	t.Setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
	tracer := newTracer(t, io.Discard)
	tracer.Finished(outcome())
	_ = tracer.Shutdown(t.Context()) // the export fails as expected
	if plain.header != nil {
		t.Error("an https endpoint was contacted without TLS")
	}
}

func TestNilTracer(t *testing.T) {
	var tracer *Tracer
	tracer.Finished(outcome())
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// The library itself writes headers that it cannot parse to standard error.
func TestMalformedHeaders(t *testing.T) {
	if os.Getenv("SKR_TEST_CHILD") != "" {
		_, err := New(t.Context(), Config{Getenv: os.Getenv})
		fmt.Println("error:", err)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMalformedHeaders$")
	child.Env = append(os.Environ(), "SKR_TEST_CHILD=1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
		"OTEL_EXPORTER_OTLP_HEADERS="+secretText)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte("error: reading OTEL_*: parse headers")) || bytes.Contains(out, []byte(secretText)) {
		t.Errorf("the child prints %s", out)
	}
}

// For any traceparent, there is one trace with all its spans.
func FuzzParent(f *testing.F) {
	f.Add(outcome().Parent)
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-01")
	f.Add("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		kept := &keeper{}
		provider := newProvider(kept, "")
		tracer := &Tracer{provider, provider.Tracer(serviceName), limitless}
		o := outcome()
		o.Parent = text
		tracer.Finished(o)
		if err := tracer.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(kept.spans); n != 6 && n != 0 {
			t.Errorf("%d spans", n)
		}
		for _, span := range kept.spans {
			if !span.SpanContext().IsValid() || span.SpanContext().TraceID() != kept.spans[0].SpanContext().TraceID() {
				t.Errorf("span %v", span.SpanContext())
			}
		}
	})
}

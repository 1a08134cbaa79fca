package metrics

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"skr/internal/observe/journal"
)

var some = Config{
	Version: "1.2.3", Routes: []string{"/key/release", "/status"},
	Codes: []string{"timeout", "release_rejected"}, Services: []string{"maa", "vault"},
	Claims: []string{"x-ms-sevsnpvm-hostdata"},
}

// release returns an outcome with all stages except the last.
func release(code string) journal.Outcome {
	start := time.Unix(1_700_000_000, 0)
	o := journal.Outcome{Route: "/key/release", Code: code, Start: start, End: start.Add(300 * time.Millisecond)}
	for _, stage := range []journal.Stage{journal.Admit, journal.Receive, journal.Report, journal.Appraise, journal.Release} {
		o.Spans = append(o.Spans, journal.Span{Stage: stage, Start: start, End: start.Add(20 * time.Millisecond)})
	}
	o.Spans = append(o.Spans, journal.Span{Stage: journal.Unwrap, Start: start})
	o.Lookups = []journal.Lookup{{Cache: journal.Certificates, Hit: true}, {Cache: journal.Attestation}}
	return o
}

func TestFinished(t *testing.T) {
	m := New(some)
	m.Finished(release("ok"))
	m.Finished(release("ok"))
	elsewhere := release("timeout")
	elsewhere.Fallback = 1
	m.Finished(elsewhere)
	m.Released("released", "ok")
	m.Released("refused", "release_rejected")
	m.Unmet("x-ms-sevsnpvm-hostdata")
	m.Asked("maa", "2xx", 30*time.Millisecond)
	m.Asked("maa", "unreachable", time.Second)
	for line, want := range map[string]string{
		`skr_requests_total{code="ok",route="/key/release"}`:                  "2",
		`skr_requests_total{code="timeout",route="/key/release"}`:             "1",
		`skr_request_duration_seconds_bucket{route="/key/release",le="0.25"}`: "0",
		`skr_request_duration_seconds_bucket{route="/key/release",le="0.5"}`:  "3",
		`skr_release_unmet_total{claim="x-ms-sevsnpvm-hostdata"}`:             "1",
		`skr_stage_duration_seconds_bucket{stage="appraise",le="0.005"}`:      "0",
		`skr_stage_duration_seconds_bucket{stage="appraise",le="0.025"}`:      "3",
		`skr_stage_duration_seconds_count{stage="unwrap"}`:                    "", // the release still runs
		`skr_cache_lookups_total{cache="certificates",result="hit"}`:          "3",
		`skr_cache_lookups_total{cache="attestation",result="miss"}`:          "3",
		`skr_releases_total{reason="ok",result="released"}`:                   "1",
		`skr_fallbacks_total`: "1",
		`skr_releases_total{reason="release_rejected",result="refused"}`:              "1",
		`skr_upstream_requests_total{outcome="2xx",service="maa"}`:                    "1",
		`skr_upstream_requests_total{outcome="unreachable",service="maa"}`:            "1",
		`skr_upstream_duration_seconds_bucket{service="maa",le="0.05"}`:               "1",
		`skr_upstream_duration_seconds_count{service="maa"}`:                          "2",
		fmt.Sprintf(`skr_build_info{go_version=%q,version="1.2.3"}`, goVersion(t, m)): "1",
	} {
		if got := value(t, m, line); got != want {
			t.Errorf("%s is %q, not %q", line, got, want)
		}
	}
}

func goVersion(t *testing.T, m *Metrics) string {
	_, rest, _ := strings.Cut(text(t, m), `go_info{version="`)
	version, _, _ := strings.Cut(rest, `"`)
	return version
}

func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(some)
		fetched := time.Now()
		ready := false
		m.Watch(State{
			Ready:        func() bool { return ready },
			Load:         func() (int, int) { return 3, 4 },
			Certificates: func() (time.Time, time.Time) { return fetched, fetched.Add(time.Hour) },
			Token:        func() (time.Time, time.Time) { return time.Time{}, time.Time{} },
			OpenCircuits: func() map[string]int { return map[string]int{"maa": 1, "evil.example": 2, "other.example": 3} },
			SecretMemory: func() string { return "mlock" },
		})
		time.Sleep(90 * time.Second)
		check := func(line, want string) {
			t.Helper()
			if got := value(t, m, line); got != want {
				t.Errorf("%s is %q, not %q", line, got, want)
			}
		}
		check("skr_ready", "0")
		ready = true
		check("skr_ready", "1")
		check("skr_requests_running", "3")
		check("skr_requests_queued", "4")
		check("skr_certificates_age_seconds", "90")
		check("skr_certificates_expiry_timestamp_seconds", strconv.FormatFloat(float64(fetched.Add(time.Hour).Unix()), 'g', -1, 64))
		check("skr_attestation_token_age_seconds", "")
		check("skr_attestation_token_expiry_timestamp_seconds", "")
		check(`skr_upstream_circuits_open{service="maa"}`, "1")
		check(`skr_upstream_circuits_open{service="other"}`, "5")
		check(`skr_secret_memory{protection="mlock"}`, "1")
	})
}

// A missing State, or one without functions, is not an error.
func TestEmptyState(t *testing.T) {
	m := New(Config{})
	m.Watch(State{})
	if got := text(t, m); strings.Contains(got, "skr_ready") {
		t.Errorf("the text has skr_ready:\n%s", got)
	}
}

// Any input of a caller or a service adds at most one series to each metric.
func TestBoundedSeries(t *testing.T) {
	m := New(some)
	hostile := func(i int) {
		word := fmt.Sprintf("evil%d.example", i)
		o := release(word)
		o.Route, o.Spans[0].Stage, o.Lookups[0].Cache = "/"+word, journal.Stage(word), journal.Cache(word)
		m.Finished(o)
		m.Released(word, word)
		m.Used(word, word, 1, time.Second)
		m.Unmet(word)
		m.Asked(word, word, time.Second)
	}
	hostile(0)
	before, err := testutil.GatherAndCount(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		hostile(i)
	}
	if after, _ := testutil.GatherAndCount(m.registry); after != before {
		t.Errorf("%d series became %d", before, after)
	}
	if all := text(t, m); strings.Contains(all, "evil") {
		t.Errorf("a stranger's word is in the text:\n%s", all)
	}
	if got := value(t, m, `skr_requests_total{code="other",route="none"}`); got != "10001" {
		t.Errorf("%q hostile requests were counted", got)
	}
}

// The list of stages matches package journal.
func TestStages(t *testing.T) {
	got := slices.Sorted(maps.Keys(stages))
	if want := constants(t, "Stage"); !slices.Equal(got, want) {
		t.Errorf("stages %q, not %q", got, want)
	}
	got = slices.Sorted(maps.Keys(caches))
	if want := constants(t, "Cache"); !slices.Equal(got, want) {
		t.Errorf("caches %q, not %q", got, want)
	}
}

// constants returns the sorted constants of a type in journal.go.
func constants(t *testing.T, kind string) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../journal/journal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && fmt.Sprint(spec.Type) == kind {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, text)
			}
		}
		return true
	})
	slices.Sort(values)
	return values
}

func TestFormats(t *testing.T) {
	m := New(some)
	m.Finished(release("ok"))
	for accept, want := range map[string]string{
		"": "text/plain; version=0.0.4",
		"application/openmetrics-text;version=1.0.0;q=0.9,*/*;q=0.1": "application/openmetrics-text; version=1.0.0",
	} {
		answer := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept", accept)
		m.ServeHTTP(answer, request)
		if got := answer.Header().Get("Content-Type"); answer.Code != 200 || !strings.HasPrefix(got, want) {
			t.Errorf("accepting %q: %d %q", accept, answer.Code, got)
		}
		if ended := strings.HasSuffix(answer.Body.String(), "# EOF\n"); ended != (accept != "") {
			t.Errorf("accepting %q: the text ends with %q", accept, answer.Body.String()[answer.Body.Len()-30:])
		}
	}
}

// Prometheus's linter accepts the names, and its parser reads the text.
func TestConventions(t *testing.T) {
	m := every()
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"skr_requests_total", "go_goroutines", "process_open_fds"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

// value returns the value of the line that starts with name, or "".
func value(t *testing.T, m *Metrics, name string) string {
	t.Helper()
	for line := range strings.Lines(text(t, m)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func text(t *testing.T, m *Metrics) string {
	t.Helper()
	var out strings.Builder
	if err := m.write(&out, expfmt.NewFormat(expfmt.TypeTextPlain)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func BenchmarkFinished(b *testing.B) {
	m, o := New(some), release("ok")
	o.Spans[5].End = o.End
	b.ReportAllocs()
	for b.Loop() {
		m.Finished(o)
	}
}

func BenchmarkAsked(b *testing.B) {
	m := New(some)
	b.ReportAllocs()
	for b.Loop() {
		m.Asked("maa", "2xx", time.Millisecond)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := every()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		m.ServeHTTP(httptest.NewRecorder(), request)
	}
}

package sidecar

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"skr/internal/observe/journal"
	"skr/internal/observe/metrics"
	"skr/test/reference"
)

const metricsPage = "docs/reference/metrics.md"

// TestMetricsReference compares what Prometheus scrapes, if everything happened once, with its page.
func TestMetricsReference(t *testing.T) {
	families := scraped(t, everyProtection(t))
	var ours, others [][]string
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family := families[name]
		kind := strings.ToLower(family.GetType().String())
		if !strings.HasPrefix(name, "skr_") {
			others = append(others, []string{reference.Code(name), kind, unit(name)})
			continue
		}
		labels := slices.Sorted(maps.Keys(labelsOf(family)))
		ours = append(ours, []string{reference.Code(name), kind, unit(name), reference.Code(labels...), family.GetHelp()})
	}
	reference.Check(t, metricsPage, "metrics", reference.Table([]string{"metric", "type", "unit", "labels", "meaning"}, ours))
	reference.Check(t, metricsPage, "client", reference.Table([]string{"metric", "type", "unit"}, others))
	reference.Check(t, metricsPage, "labels", labelList(t, families))
	reference.Check(t, metricsPage, "buckets", bucketList(families))
	var stages [][]string
	for _, stage := range reference.Constants(t, "../observe/journal/journal.go", "Stage") {
		stages = append(stages, []string{reference.Code(stage.Value), stage.Comment})
	}
	reference.Check(t, metricsPage, "stages", reference.Table([]string{"stage", "what it covers"}, stages))
}

// everyProtection returns the metrics of a sidecar with each kind of memory. The first one has all
// other series too.
func everyProtection(t *testing.T) (all []*metrics.Metrics) {
	for i, protection := range reference.Constants(t, "../secmem/protection.go", "Protection") {
		m := metrics.New(metricsConfig())
		m.Watch(everyState(protection.Value))
		if i == 0 {
			everyEvent(t, m)
		}
		all = append(all, m)
	}
	return all
}

func everyState(protection string) metrics.State {
	now := func() (time.Time, time.Time) { return time.Now(), time.Now() }
	connections, circuits := new(service).loads(), map[string]int{}
	for name := range connections {
		connections[name] = func() (int, uint64) { return 1, 1 }
	}
	for _, name := range metricsConfig().Services {
		circuits[name] = 0
	}
	return metrics.State{
		Ready: func() bool { return true }, Load: func() (int, int) { return 0, 0 }, Certificates: now, Token: now,
		OpenCircuits: func() map[string]int { return circuits }, SecretMemory: func() string { return protection },
		Connections: connections, Withheld: func() uint64 { return 1 }, Watchers: func() int { return 1 },
		Sinks: func() (int, int) { return 2, 1 },
	}
}

// everyEvent counts each event with each value of each label.
func everyEvent(t *testing.T, m *metrics.Metrics) {
	config, now := metricsConfig(), time.Now()
	outcome := journal.Outcome{Start: now, End: now}
	for _, stage := range reference.Constants(t, "../observe/journal/journal.go", "Stage") {
		outcome.Spans = append(outcome.Spans, journal.Span{Stage: journal.Stage(stage.Value), Start: now, End: now})
	}
	for _, cache := range reference.Constants(t, "../observe/journal/journal.go", "Cache") {
		name := journal.Cache(cache.Value)
		outcome.Lookups = append(outcome.Lookups, journal.Lookup{Cache: name}, journal.Lookup{Cache: name, Hit: true}, journal.Lookup{Cache: name, Stale: true})
	}
	operations := reference.Constants(t, "../keyuse/keyuse.go", "Operation")
	for _, code := range append([]string{"ok"}, config.Codes...) {
		outcome.Code, outcome.Route = code, config.Routes[0]
		m.Finished(outcome)
		m.Released(resultOf(code), code)
		m.Used(operations[0].Value, code, 1, time.Second)
	}
	for _, route := range append([]string{""}, config.Routes...) {
		outcome.Code, outcome.Route = "ok", route
		m.Finished(outcome)
	}
	for _, operation := range operations {
		m.Used(operation.Value, "ok", 1, time.Second)
	}
	for _, result := range reference.Constants(t, "sinks/sinks.go", "Result") {
		m.Wrote(result.Value)
	}
	for _, claim := range append([]string{"of another token"}, config.Claims...) {
		m.Unmet(claim)
	}
	for _, name := range config.Services {
		for _, status := range []int{0, 100, 200, 300, 400, 500} {
			m.Asked(name, outcomeOf(status), time.Second)
		}
	}
}

// scraped returns what the metrics answer to Prometheus together.
func scraped(t *testing.T, all []*metrics.Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	together := map[string]*dto.MetricFamily{}
	for _, m := range all {
		answer := httptest.NewRecorder()
		m.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		for name, family := range families {
			if together[name] == nil {
				together[name] = family
			} else {
				together[name].Metric = append(together[name].Metric, family.Metric...)
			}
		}
	}
	return together
}

// unit returns the unit that the name ends with, as Prometheus wants it.
func unit(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"), strings.HasSuffix(name, "_time_seconds"):
		return "seconds since 1970"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	case strings.HasSuffix(name, "_percent"):
		return "percent"
	}
	return ""
}

// labelsOf returns the sorted values of each label.
func labelsOf(family *dto.MetricFamily) map[string][]string {
	values := map[string][]string{}
	for _, m := range family.Metric {
		for _, label := range m.Label {
			if name := label.GetName(); !slices.Contains(values[name], label.GetValue()) {
				values[name] = append(values[name], label.GetValue())
			}
		}
	}
	for _, list := range values {
		slices.Sort(list)
	}
	return values
}

// labelList lists the values of each label, once for all metrics that have the same values.
func labelList(t *testing.T, families map[string]*dto.MetricFamily) string {
	metricsOf := map[string][]string{} // by the label and its values
	for _, name := range slices.Sorted(maps.Keys(families)) {
		for label, values := range labelsOf(families[name]) {
			if !strings.HasPrefix(name, "skr_") || name == "skr_build_info" {
				continue // versions
			}
			if slices.Contains(values, "other") && label != "claim" {
				t.Errorf("%s: no value of %s may be counted as other here: %s", name, label, values)
			}
			key := label + " " + reference.Code(values...)
			metricsOf[key] = append(metricsOf[key], name)
		}
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(metricsOf)) {
		label, values, _ := strings.Cut(key, " ")
		line := fmt.Sprintf("- `%s` of %s: %s", label, reference.Code(metricsOf[key]...), values)
		b.WriteString(reference.Wrap(line, "  ") + "\n")
	}
	return b.String()
}

func bucketList(families map[string]*dto.MetricFamily) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !strings.HasPrefix(name, "skr_") || families[name].GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		var bounds []string
		for _, bucket := range families[name].Metric[0].GetHistogram().GetBucket() {
			bounds = append(bounds, strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64))
		}
		b.WriteString(reference.Wrap(fmt.Sprintf("- `%s`: %s", name, strings.Join(bounds, ", ")), "  ") + "\n")
	}
	return b.String()
}

// Package metrics counts what skr does, for Prometheus.
//
// A [Metrics] counts each request, release and exchange with a service when it is over,
// and reads a [State] for each scrape:
//
//	m := metrics.New(metrics.Config{Version: "1.2.3", Routes: routes, Codes: codes, Services: services})
//	m.Watch(metrics.State{Ready: ready})
//	m.Finished(outcome)
//	http.Handle("/metrics", m)
//
// Every label takes its values from a closed list, and what is not on it is
// counted as "other". So neither a caller nor a service can add a series, and no
// key, host, caller or error text is ever in a label.
//
// The registry is the package's own: what another package registers globally
// does not appear. docs/observability.md lists the metrics.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"skr/internal/observe/journal"
)

// Config says what may become a label.
type Config struct {
	// Version of skr; "" means "unknown".
	Version string
	// Routes are the paths of the API. Another is counted as "none".
	Routes []string
	// Codes are those of package api. "ok" is always one.
	Codes []string
	// Services are the words for those that skr asks: "maa", "vault".
	Services []string
	// Claims are those of attestation tokens.
	Claims []string
}

// Metrics is safe for concurrent use.
type Metrics struct {
	registry                  *prometheus.Registry
	routes, codes, services   words
	claims                    words
	requests, releases, unmet *prometheus.CounterVec
	lookups, asked            *prometheus.CounterVec
	fallbacks                 prometheus.Counter
	durations, stages, waited *prometheus.HistogramVec
}

// buckets are seconds. A warm release is one round trip to the vault, a cold one
// several; a minute is the default deadline of a request.
var buckets = []float64{.001, .005, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// New makes metrics, all of them zero.
func New(c Config) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		routes:   list(c.Routes...),
		codes:    list(append([]string{"ok"}, c.Codes...)...),
		services: list(c.Services...),
		claims:   list(c.Claims...),
		requests: counter("skr_requests_total", "Completed requests.", "route", "code"),
		releases: counter("skr_releases_total", "Key releases, by result and reason.", "result", "reason"),
		unmet:    counter("skr_release_unmet_total", "Conditions of release policies that a refused release did not meet.", "claim"),
		lookups:  counter("skr_cache_lookups_total", "Cache lookups, by result.", "cache", "result"),
		asked:    counter("skr_upstream_requests_total", "Attempts to call a service, by status class or unreachable.", "service", "outcome"),

		fallbacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skr_fallbacks_total", Help: "Requests that ended at a fall-back authority or vault.",
		}),
		durations: histogram("skr_request_duration_seconds", "Time from a request to its answer.", "route"),
		stages:    histogram("skr_stage_duration_seconds", "Duration of one stage of a request.", "stage"),
		waited:    histogram("skr_upstream_duration_seconds", "Duration of one attempt to call a service.", "service"),
	}
	m.registry.MustRegister(m.requests, m.releases, m.unmet, m.lookups, m.asked, m.fallbacks, m.durations, m.stages, m.waited,
		buildInfo(c.Version), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

func buildInfo(version string) prometheus.Collector {
	if version == "" {
		version = "unknown"
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "skr_build_info", Help: "1, labelled with the version of the build.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	info.Set(1)
	return info
}

// Finished counts a request with its stages and lookups. A stage that still runs,
// for another request, has no time to count.
func (m *Metrics) Finished(o journal.Outcome) {
	route := m.routes.or(o.Route, "none")
	m.requests.WithLabelValues(route, m.codes.or(o.Code, other)).Inc()
	m.durations.WithLabelValues(route).Observe(o.End.Sub(o.Start).Seconds())
	if o.Fallback > 0 {
		m.fallbacks.Inc()
	}
	for _, span := range o.Spans {
		if !span.End.IsZero() {
			m.stages.WithLabelValues(stages.or(string(span.Stage), other)).Observe(span.End.Sub(span.Start).Seconds())
		}
	}
	for _, lookup := range o.Lookups {
		m.lookups.WithLabelValues(caches.or(string(lookup.Cache), other), lookup.Result()).Inc()
	}
}

// Released counts a release. The result is "released", "refused" or "failed", the
// reason a code of package api or "ok".
func (m *Metrics) Released(result, reason string) {
	m.releases.WithLabelValues(results.or(result, other), m.codes.or(reason, other)).Inc()
}

// Unmet counts a condition on that claim, which kept a key from being released.
func (m *Metrics) Unmet(claim string) {
	m.unmet.WithLabelValues(m.claims.or(claim, other)).Inc()
}

// Asked counts one attempt to ask a service. The outcome is "1xx" to "5xx", or
// "unreachable" where there was no answer.
func (m *Metrics) Asked(service, outcome string, took time.Duration) {
	service = m.services.or(service, other)
	m.asked.WithLabelValues(service, outcomes.or(outcome, other)).Inc()
	m.waited.WithLabelValues(service).Observe(took.Seconds())
}

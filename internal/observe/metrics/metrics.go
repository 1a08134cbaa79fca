// Package metrics counts what skr does, for Prometheus.
//
// A [Metrics] counts each completed request, release and exchange with a service, and reads a [State] for
// each scrape:
//
//	m := metrics.New(metrics.Config{Version: "1.2.3", Routes: routes, Codes: codes, Services: services})
//	m.Watch(metrics.State{Ready: ready})
//	m.Finished(outcome)
//	http.Handle("/metrics", m)
//
// Every label has a closed list of values. Other values are counted as "other". So neither a caller nor a
// service can add a series, and no label contains a key, host, caller or error text.
//
// The registry is private: metrics that other packages register globally do not appear.
// docs/reference/metrics.md lists the metrics.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"skr/internal/observe/journal"
)

// Config lists the values of labels.
type Config struct {
	// Version is the version of skr; "" means "unknown".
	Version string
	// Routes are the paths of the API. Other paths are counted as "none".
	Routes []string
	// Codes are the codes of package api. "ok" is added.
	Codes []string
	// Services are the names of services that skr calls: "maa", "vault".
	Services []string
	// Claims are the claims of attestation tokens.
	Claims []string
}

// Metrics is safe for concurrent use.
type Metrics struct {
	registry                        *prometheus.Registry
	routes, codes, services         words
	claims                          words
	requests, releases, used, unmet *prometheus.CounterVec
	lookups, asked                  *prometheus.CounterVec
	fallbacks                       prometheus.Counter
	wrote                           *prometheus.CounterVec
	durations, stages, waited       *prometheus.HistogramVec
	operated                        *prometheus.HistogramVec
}

// buckets are in seconds. A warm release needs one round trip to the vault, a cold one several. The
// default deadline of a request is a minute.
var buckets = []float64{.001, .005, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// operationBuckets are in seconds. AES takes microseconds, RSA milliseconds, and a vault tens of them.
var operationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// New returns metrics that are all zero.
func New(c Config) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		routes:   list(c.Routes...),
		codes:    list(append([]string{"ok"}, c.Codes...)...),
		services: list(c.Services...),
		claims:   list(c.Claims...),
		requests: counter("skr_requests_total", "Completed requests.", "route", "code"),
		releases: counter("skr_releases_total", "Key releases, by result and reason.", "result", "reason"),
		used:     counter("skr_key_operations_total", "Operations with keys that stay in the sidecar.", "operation", "reason"),
		unmet:    counter("skr_release_unmet_total", "Conditions of release policies that a refused release did not meet.", "claim"),
		lookups:  counter("skr_cache_lookups_total", "Cache lookups, by result.", "cache", "result"),
		asked:    counter("skr_upstream_requests_total", "Attempts to call a service, by status class or unreachable.", "service", "outcome"),

		fallbacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skr_fallbacks_total", Help: "Requests that ended at a fallback authority or vault.",
		}),
		wrote:     counter("skr_sink_updates_total", "Attempts to bring a file of sinks up to date, by result.", "result"),
		durations: histogram("skr_request_duration_seconds", "Time from a request to its answer.", "route"),
		stages:    histogram("skr_stage_duration_seconds", "Duration of one stage of a request.", "stage"),
		operated: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skr_key_operation_duration_seconds", Help: "Duration of the operations of one request with a key.", Buckets: operationBuckets,
		}, []string{"operation"}),
		waited: histogram("skr_upstream_duration_seconds", "Duration of one attempt to call a service.", "service"),
	}
	m.registry.MustRegister(m.requests, m.releases, m.used, m.unmet, m.lookups, m.asked, m.fallbacks, m.wrote, m.durations, m.stages, m.waited, m.operated,
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

// Finished counts a request with its stages and lookups. It ignores a stage that still runs for another
// request.
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

// Released counts a release. result is "released", "refused" or "failed"; reason is "ok" or a code of
// package api.
func (m *Metrics) Released(result, reason string) {
	m.releases.WithLabelValues(results.or(result, other), m.codes.or(reason, other)).Inc()
}

// Used counts the items of a request for operations with a key. reason is "ok" or a code of package api.
// took is 0 if there was no key to use.
func (m *Metrics) Used(operation, reason string, items int, took time.Duration) {
	operation = operations.or(operation, other)
	m.used.WithLabelValues(operation, m.codes.or(reason, other)).Add(float64(items))
	if took > 0 {
		m.operated.WithLabelValues(operation).Observe(took.Seconds())
	}
}

// Wrote counts an attempt to bring a sink up to date: "written", "failed" or "notify_failed".
func (m *Metrics) Wrote(result string) { m.wrote.WithLabelValues(updates.or(result, other)).Inc() }

// Unmet counts a condition on the claim that a refused release did not meet.
func (m *Metrics) Unmet(claim string) {
	m.unmet.WithLabelValues(m.claims.or(claim, other)).Inc()
}

// Asked counts one attempt of a request to a service. outcome is "1xx" to "5xx", or "unreachable" if there
// was no answer.
func (m *Metrics) Asked(service, outcome string, took time.Duration) {
	service = m.services.or(service, other)
	m.asked.WithLabelValues(service, outcomes.or(outcome, other)).Inc()
	m.waited.WithLabelValues(service).Observe(took.Seconds())
}

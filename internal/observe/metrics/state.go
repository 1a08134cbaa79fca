package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State has functions that are called for each scrape. They must not block. A nil field or a zero time
// omits its metrics.
type State struct {
	// Ready reports the state of /readyz.
	Ready func() bool
	// Load returns the number of running and of waiting requests.
	Load func() (running, queued int)
	// Connections returns, by listener, the number of open and of refused connections.
	Connections map[string]func() (open int, closed uint64)
	// Withheld counts the refused releases without an audit record of their own.
	Withheld func() uint64
	// Watchers returns how many requests wait for another version of a key.
	Watchers func() int
	// Sinks returns how many files are kept up to date, and how many of them are not.
	Sinks func() (all, failing int)
	// Certificates returns the times of the current chain, or of Intel's collateral.
	Certificates func() (fetched, notAfter time.Time)
	// Token returns the times of the newest cached attestation token.
	Token func() (issued, expires time.Time)
	// OpenCircuits counts, by service, the hosts that get no requests for now.
	OpenCircuits func() map[string]int
	// SecretMemory returns the protection of released keys: "memfd_secret", "mlock", "none".
	SecretMemory func() string
}

var (
	readyDesc        = describe("skr_ready", "1 if every part is ready, else 0.")
	runningDesc      = describe("skr_requests_running", "Requests that have a place.")
	queuedDesc       = describe("skr_requests_queued", "Requests that wait for a place.")
	connectionsDesc  = describe("skr_connections_open", "Open connections of callers.", "listener")
	surplusDesc      = describe("skr_connections_closed_total", "Connections of callers that were closed at once because too many were open.", "listener")
	withheldDesc     = describe("skr_audit_withheld_total", "Refused releases that have no audit record of their own.")
	watchersDesc     = describe("skr_key_watchers", "Requests that wait for another version of a key.")
	sinksDesc        = describe("skr_sinks", "Files that are kept up to date.")
	failingSinksDesc = describe("skr_sinks_failing", "Files whose last attempt to bring them up to date failed.")
	chainAgeDesc     = describe("skr_certificates_age_seconds", "Time since the certificate chain was fetched, or Intel's collateral on TDX.")
	chainExpiryDesc  = describe("skr_certificates_expiry_timestamp_seconds", "When the certificate chain expires, or Intel's collateral on TDX.")
	tokenAgeDesc     = describe("skr_attestation_token_age_seconds", "Time since the newest attestation token was issued.")
	tokenExpiryDesc  = describe("skr_attestation_token_expiry_timestamp_seconds", "When the newest attestation token expires.")
	openCircuitsDesc = describe("skr_upstream_circuits_open", "Hosts of a service whose circuit is open.", "service")
	memoryDesc       = describe("skr_secret_memory", "1, labelled with the kind of memory that holds released keys.", "protection")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Watch adds the metrics of s. A second call panics.
func (m *Metrics) Watch(s State) { m.registry.MustRegister(watched{s, m.services}) }

// watched collects a State for Prometheus.
type watched struct {
	State
	services words
}

var _ prometheus.Collector = watched{}

// Describe implements [prometheus.Collector].
func (watched) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{readyDesc, runningDesc, queuedDesc, connectionsDesc, surplusDesc, withheldDesc,
		watchersDesc, sinksDesc, failingSinksDesc, chainAgeDesc, chainExpiryDesc, tokenAgeDesc, tokenExpiryDesc, openCircuitsDesc, memoryDesc} {
		out <- desc
	}
}

// Collect implements [prometheus.Collector].
func (w watched) Collect(out chan<- prometheus.Metric) {
	if w.Ready != nil {
		out <- gauge(readyDesc, oneIf(w.Ready()))
	}
	if w.Load != nil {
		running, queued := w.Load()
		out <- gauge(runningDesc, float64(running))
		out <- gauge(queuedDesc, float64(queued))
	}
	for listener, load := range w.Connections {
		open, closed := load()
		out <- gauge(connectionsDesc, float64(open), listener)
		out <- total(surplusDesc, closed, listener)
	}
	if w.Withheld != nil {
		out <- total(withheldDesc, w.Withheld())
	}
	if w.Watchers != nil {
		out <- gauge(watchersDesc, float64(w.Watchers()))
	}
	if w.Sinks != nil {
		w.collectSinks(out)
	}
	if w.Certificates != nil {
		collectTimes(out, w.Certificates, chainAgeDesc, chainExpiryDesc)
	}
	if w.Token != nil {
		collectTimes(out, w.Token, tokenAgeDesc, tokenExpiryDesc)
	}
	if w.OpenCircuits != nil {
		w.collectCircuits(out)
	}
	if w.SecretMemory != nil {
		out <- gauge(memoryDesc, 1, protections.or(w.SecretMemory(), other))
	}
}

// collectSinks collects nothing without sinks.
func (w watched) collectSinks(out chan<- prometheus.Metric) {
	if all, failing := w.Sinks(); all > 0 {
		out <- gauge(sinksDesc, float64(all))
		out <- gauge(failingSinksDesc, float64(failing))
	}
}

func collectTimes(out chan<- prometheus.Metric, times func() (begin, end time.Time), age, expiry *prometheus.Desc) {
	begin, end := times()
	if !begin.IsZero() {
		out <- gauge(age, time.Since(begin).Seconds())
	}
	if !end.IsZero() {
		out <- gauge(expiry, float64(end.Unix()))
	}
}

// collectCircuits collects the open circuits. Unknown services share one series.
func (w watched) collectCircuits(out chan<- prometheus.Metric) {
	open := map[string]int{}
	for service, hosts := range w.OpenCircuits() {
		open[w.services.or(service, other)] += hosts
	}
	for service, hosts := range open {
		out <- gauge(openCircuitsDesc, float64(hosts), service)
	}
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func total(desc *prometheus.Desc, value uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// Latencies of the emulated services, similar to Azure within a region.
const (
	latencyMAA   = 40 * time.Millisecond
	latencyVault = 20 * time.Millisecond
)

// serviceTimes sums the time that the emulated services took, by their own clock: the
// injected latency, and the cryptography that Azure runs on other machines.
type serviceTimes struct {
	slog.Handler

	mu   sync.Mutex
	took map[string]time.Duration
}

func newServiceTimes() *serviceTimes {
	return &serviceTimes{Handler: slog.DiscardHandler, took: map[string]time.Duration{}}
}

// Enabled accepts every line.
func (s *serviceTimes) Enabled(context.Context, slog.Level) bool { return true }

// Handle reads the cloud's log line of one request.
func (s *serviceTimes) Handle(_ context.Context, r slog.Record) error {
	var service string
	var took time.Duration
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "service":
			service = a.Value.String()
		case "took":
			took = a.Value.Duration()
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took[service] += took
	return nil
}

// reset returns the time spent in the services since the last reset.
func (s *serviceTimes) reset(services ...string) (total time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range services {
		total += s.took[service]
	}
	clear(s.took)
	return total
}

// far is a cloud with the latencies of a region, and a key.
func far(b *testing.B) (cloud *emulator.Cloud, times *serviceTimes, request api.ReleaseRequest) {
	b.Helper()
	times = newServiceTimes()
	cloud = program.Cloud(b, emulator.Config{Log: slog.New(times)})
	vault := cloud.Host("demo", "vault")
	createKey(b, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	cloud.Faults().SetLatency(emulator.ServiceAttest, latencyMAA)
	cloud.Faults().SetLatency(emulator.ServiceRelease, latencyVault)
	return cloud, times, api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "k"}
}

func (s *sidecar) release(b *testing.B, request api.ReleaseRequest) time.Duration {
	b.Helper()
	begin := time.Now()
	if _, err := s.client.Release(b.Context(), request); err != nil {
		b.Fatalf("%v\n%s", err, s.log)
	}
	return time.Since(begin)
}

// A warm release through the HTTP API of the real binary: the attested KEK is reused, and
// the connection to the vault is open. "over" is the time without the vault's, which the
// vault measures itself. The ratios compare the whole time with the injected latency and
// with the vault's time. A program that costs nothing has a ratio of 1.
func BenchmarkWarm(b *testing.B) {
	cloud, times, request := far(b)
	ops := program.FreeAddress(b)
	s := start(b, append(cloud.Environment(cloud.Machine()), "SKR_OPS_LISTEN="+ops)).ready(b)
	s.release(b, request)
	asked := cloud.Faults().Requests(emulator.ServiceVault)
	var took, over []time.Duration
	var vault time.Duration
	times.reset()
	before := cpuTime(b, s.process.Process.Pid)
	for b.Loop() {
		total := s.release(b, request)
		own := times.reset(emulator.ServiceRelease)
		took, over, vault = append(took, total), append(over, total-own), vault+own
	}
	if got := cloud.Faults().Requests(emulator.ServiceVault) - asked; got != len(took) {
		b.Errorf("%d requests to the vault for %d releases", got, len(took))
	}
	used := cpuTime(b, s.process.Process.Pid) - before
	b.ReportMetric(float64(used.Microseconds())/float64(len(took))/1e3, "cpu-ms")
	reportSpread(b, "", took)
	reportSpread(b, "over-", over)
	b.ReportMetric(float64(b.Elapsed())/float64(len(took))/float64(latencyVault), "ratio")
	b.ReportMetric(float64(b.Elapsed())/float64(vault), "ratio-served")
	logChecks(b, ops)
}

// A cold release: the first one of a process that is ready, has made its first key pair
// and has collected evidence for it. Only the certificates that readiness verified are
// cached. If the configuration names the key, the authority's signing keys are cached too.
func BenchmarkCold(b *testing.B) {
	cloud, times, request := far(b)
	b.Run("named by the request", func(b *testing.B) { cold(b, cloud, times, request, nil) })
	aliases := fmt.Sprintf(`SKR_KEYS={"demo":{"vault":%q,"key":%q,"authority":%q}}`, request.AKVEndpoint, request.KID, request.MAAEndpoint)
	b.Run("named by the configuration", func(b *testing.B) {
		cold(b, cloud, times, api.ReleaseRequest{Alias: "demo"}, []string{aliases})
	})
}

func cold(b *testing.B, cloud *emulator.Cloud, times *serviceTimes, request api.ReleaseRequest, env []string) {
	b.Helper()
	ops := program.FreeAddress(b)
	var took []time.Duration
	var services time.Duration
	for b.Loop() {
		b.StopTimer()
		s := start(b, slices.Concat(cloud.Environment(cloud.Machine()), env, []string{"SKR_OPS_LISTEN=" + ops})).ready(b)
		settle(b, s)
		cloud.Faults().ResetCounters()
		times.reset()
		b.StartTimer()
		took = append(took, s.release(b, request))
		b.StopTimer()
		services += times.reset(emulator.ServiceAttest, emulator.ServiceRelease)
		for _, service := range []string{emulator.ServiceAttest, emulator.ServiceVault} {
			if got := cloud.Faults().Requests(service); got != 1 {
				b.Errorf("%d requests to %s, want 1", got, service)
			}
		}
		if len(took) == 1 {
			logChecks(b, ops)
		}
		if err := s.stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	reportSpread(b, "", took)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/float64(latencyMAA+latencyVault), "ratio")
	b.ReportMetric(float64(took[len(took)/2])*float64(len(took))/float64(services), "ratio-served")
}

// settle waits until the process uses no more CPU time: its first key pair is made.
// Another process offers no event for that.
func settle(b testing.TB, s *sidecar) {
	b.Helper()
	for quiet, last := 0, time.Duration(-1); quiet < 10; time.Sleep(10 * time.Millisecond) {
		if now := cpuTime(b, s.process.Process.Pid); now != last {
			quiet, last = 0, now
		}
		quiet++
	}
}

// Attesting for each release, as with attestation_max_age 0: each release makes a key
// pair. Only the first pair is made ahead.
func BenchmarkAttesting(b *testing.B) {
	cloud, _, request := far(b)
	s := start(b, append(cloud.Environment(cloud.Machine()), "SKR_ATTESTATION_MAX_AGE=0")).ready(b)
	s.release(b, request)
	for b.Loop() {
		s.release(b, request)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(latencyMAA+latencyVault), "ratio")
}

// reportSpread reports the median and the 99th percentile.
func reportSpread(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, name+"p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, name+"p99-ms")
}

var stageCount = regexp.MustCompile(`skr_stage_duration_seconds_count\{stage="([a-z]+)"\} ([0-9]+)`)

// logChecks logs the stages that ran, as the process counts them. No stage runs without
// its checks: docs/performance.md lists them.
func logChecks(b *testing.B, ops string) {
	b.Helper()
	response, err := http.Get("http://" + ops + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	var stages []string
	for _, found := range stageCount.FindAllSubmatch(text, -1) {
		stages = append(stages, string(found[1])+" "+string(found[2]))
	}
	b.Logf("stages that ran, each with its checks: %s", strings.Join(stages, ", "))
}

// From exec until the process logs that it is ready: it has collected evidence and
// verified the certificates. They come from the host, beside the evidence, or from THIM.
// There are no system CAs, as in the image. "faults" counts the pages that were touched
// for the first time.
func BenchmarkReady(b *testing.B) {
	cloud := program.Cloud(b, emulator.Config{})
	env := append(cloud.Environment(cloud.Machine()), "SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent")
	b.Run("host", func(b *testing.B) { becomeReady(b, env) })
	b.Run("thim", func(b *testing.B) {
		becomeReady(b, append(env, "UVM_SECURITY_CONTEXT_DIR=/nonexistent", "SKR_CERTIFICATE_SOURCES=thim"))
	})
}

func becomeReady(b *testing.B, env []string) {
	b.Helper()
	var listening, ready []time.Duration
	var faults int64
	for b.Loop() {
		began := time.Now()
		s := start(b, env)
		eventually(b, "skr is ready", func() bool { return !s.logged("ready").IsZero() })
		listening, ready = append(listening, s.logged("listening").Sub(began)), append(ready, s.logged("ready").Sub(began))
		if err := s.stop(); err != nil {
			b.Fatal(err)
		}
		if usage, ok := s.process.ProcessState.SysUsage().(*syscall.Rusage); ok {
			faults += usage.Minflt
		}
	}
	b.ReportMetric(float64(faults)/float64(len(ready)), "faults")
	reportSpread(b, "listening-", listening)
	reportSpread(b, "ready-", ready)
	b.ReportMetric(float64(slices.Min(ready).Microseconds())/1e3, "ready-least-ms")
}

// logged returns when the process wrote the line with this message, or zero if it did not.
func (s *sidecar) logged(message string) time.Time {
	for line := range strings.Lines(s.log.String()) {
		var said struct {
			Time time.Time `json:"time"`
			Msg  string    `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == message {
			return said.Time
		}
	}
	return time.Time{}
}

func statusOK(s *sidecar) bool {
	response, err := http.Get("http://" + s.address + api.RouteStatus)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	var status api.StatusResponse
	return json.NewDecoder(response.Body).Decode(&status) == nil && status.Message == api.StatusOK
}

// The cost of caller authentication, limits, audit records, metrics and traces: warm
// releases with all of them and with none, in turns. The services have the latencies of a
// region. Every verification is on in both.
func BenchmarkHardening(b *testing.B) {
	cloud := program.Cloud(b, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(b, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	cloud.Faults().SetLatency(emulator.ServiceRelease, latencyVault)
	env := append(cloud.Environment(cloud.Machine()),
		`SKR_KEYS={"demo":{"vault":"`+vault+`","key":"k","authority":"`+cloud.AttestationHost()+`"}}`)
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()
	dir := b.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("token-of-the-benchmark"), 0o600); err != nil {
		b.Fatal(err)
	}
	plain := start(b, env).ready(b)
	hard := start(b, append(env, "SKR_OPS_LISTEN="+program.FreeAddress(b), "SKR_AUDIT_FILE="+filepath.Join(dir, "audit.log"),
		`SKR_ACCESS=[{"name":"app","token_file":"`+token+`","routes":["*"],"keys":["demo"]}]`,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)).ready(b)
	client, err := api.NewClient(api.Config{BaseURL: "http://" + hard.address, TokenFile: token})
	if err != nil {
		b.Fatal(err)
	}
	release := func(client *api.Client) time.Duration {
		begin := time.Now()
		if _, err := client.Release(b.Context(), api.ReleaseRequest{Alias: "demo"}); err != nil {
			b.Fatal(err)
		}
		return time.Since(begin)
	}
	release(plain.client)
	release(client)
	var without, with time.Duration
	for b.Loop() {
		without += release(plain.client)
		with += release(client)
	}
	b.ReportMetric(float64(with)/float64(without), "ratio")
}

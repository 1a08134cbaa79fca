package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/program"
)

var soakMinutes = flag.Float64("minutes", 0, "how long TestSoak drives the sidecar")

const (
	soakWorkers = 16
	soakIdle    = time.Second // the cloud closes a connection after this time
	// Allowed differences after the traffic: the scrape itself, and a connection that
	// is being closed.
	moreGoroutines  = 3
	moreDescriptors = 3
	moreHeap        = 2 << 20 // bytes
)

// soakFaults happen all the time, each to a few of the requests.
var soakFaults = []string{
	"maa/attest:status=500,probability=0.02", "maa/attest:reset,probability=0.02", "maa/attest:not-json,probability=0.02",
	"maa/attest:forge=other-kek,probability=0.02", "maa/attest:status=429,retry-after=1s,probability=0.01",
	"vault/release:status=503,probability=0.02", "vault/release:truncate,probability=0.02", "vault/release:status=403,probability=0.01",
	"vault/release:forge=other-key,probability=0.02", "vault/release:slow-body,delay=5ms,probability=0.02",
	"report:status=500,probability=0.02", "report:reset,probability=0.02", "imds/token:status=500,probability=0.02",
}

// TestSoak drives mixed good and faulty traffic at full rate. Afterwards the process must
// use no more resources than before. Each request must have been answered and logged
// exactly once.
func TestSoak(t *testing.T) {
	if *soakMinutes <= 0 {
		t.Skip("this test takes minutes: make soak")
	}
	k := newSoak(t)
	k.drive(t, 5*time.Second) // creates everything that is created once
	before := k.settle(t)
	k.drive(t, time.Duration(*soakMinutes*float64(time.Minute)))
	after := k.settle(t)
	t.Logf("soak: before %s", before)
	t.Logf("soak: after  %s", after)
	if after.goroutines > before.goroutines+moreGoroutines {
		t.Errorf("%d goroutines, before %d", after.goroutines, before.goroutines)
	}
	if after.descriptors > before.descriptors+moreDescriptors {
		t.Errorf("%d descriptors, before %d", after.descriptors, before.descriptors)
	}
	if after.heap > before.heap+moreHeap {
		t.Errorf("%d bytes of live heap, before %d", after.heap, before.heap)
	}
	k.stop(t)
	k.account(t)
}

// soak is a sidecar under traffic, with the requests and their answers.
type soak struct {
	*lab
	s          *sidecar
	ops        string
	log, audit string
	http       *http.Client

	mu       sync.Mutex
	answered map[string]string // request id to code; "" if the caller did not wait
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	dir := t.TempDir()
	k := &soak{
		lab: newLab(t, emulator.Config{IdleTimeout: soakIdle}), ops: program.FreeAddress(t),
		log: filepath.Join(dir, "skr.log"), audit: filepath.Join(dir, "audit.log"),
		http:     &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: soakWorkers}},
		answered: map[string]string{},
	}
	t.Logf("soak: seed %d", k.cloud.Seed())
	k.s = start(t, append(k.cloud.Environment(k.cloud.Machine()),
		"SKR_OPS_LISTEN="+k.ops, "SKR_LOG_FILE="+k.log, "SKR_AUDIT_FILE="+k.audit,
		"SKR_CALLER_RATE=100000", "SKR_ATTESTATION_MAX_AGE=2s", "SKR_REQUEST_TIMEOUT=5s", "SKR_MAX_CONCURRENT=16",
		`SKR_KEYS={"demo":{"vault":"`+k.vault+`","key":"k","authority":"`+k.cloud.AttestationHost()+`"}}`,
	)).ready(t)
	return k
}

// drive sends requests of all kinds from all workers.
func (k *soak) drive(t *testing.T, length time.Duration) {
	t.Helper()
	for _, words := range soakFaults {
		rule, err := fault.ParseRule(words)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.cloud.Faults().Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	defer k.cloud.Faults().Clear()
	end := time.Now().Add(length)
	var workers sync.WaitGroup
	for range soakWorkers {
		workers.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				k.one(t)
			}
		})
	}
	workers.Wait()
}

// question is one kind of request, and its share of all.
type question struct {
	share int
	path  string
	body  func(*soak) string
}

var data = base64.StdEncoding.EncodeToString([]byte("soak"))

var questions = []question{
	{20, api.RouteRaw, func(*soak) string { return `{"runtime_data":"` + data + `"}` }},
	{20, api.RouteCombined, func(*soak) string { return `{"runtime_data":"` + data + `"}` }},
	{10, api.RouteMAA, func(k *soak) string {
		return `{"maa_endpoint":"` + k.cloud.AttestationHost() + `","runtime_data":"` + data + `"}`
	}},
	{20, api.RouteRelease, func(*soak) string { return `{"alias":"demo"}` }},
	{10, api.RouteRelease, func(k *soak) string {
		return `{"maa_endpoint":"` + k.cloud.AttestationHost() + `","akv_endpoint":"` + k.vault + `","kid":"k","access_token":"` + k.access + `"}`
	}},
	{5, api.RouteRelease, func(*soak) string { return `{"alias":"other"}` }},
	{5, api.RouteRelease, func(k *soak) string {
		return `{"maa_endpoint":"evil.example","akv_endpoint":"` + k.vault + `","kid":"k"}`
	}},
	{5, api.RouteRaw, func(*soak) string { return `{"runtime_data":` }},
	{5, "/nowhere", func(*soak) string { return "{}" }},
}

func (k *soak) one(t *testing.T) {
	n := rand.IntN(100)
	for _, q := range questions {
		if n -= q.share; n < 0 {
			k.ask(t, q)
			return
		}
	}
}

// ask sends one request; some callers do not wait for the answer.
func (k *soak) ask(t *testing.T, q question) {
	id := fmt.Sprintf("soak-%d", rand.Uint64())
	ctx := t.Context()
	impatient := rand.IntN(50) == 0
	if impatient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.Int64N(int64(20*time.Millisecond))))
		defer cancel()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+k.s.address+q.path, strings.NewReader(q.body(k)))
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", id)
	code, err := k.send(request, id)
	if err != nil && !impatient {
		t.Errorf("%s %s: a request was lost: %v", id, q.path, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answered[id] = code
}

func (k *soak) send(request *http.Request, id string) (code string, err error) {
	response, err := k.http.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return "", err
	case response.Header.Get("X-Request-Id") != id:
		return "", fmt.Errorf("the answer belongs to request %s", response.Header.Get("X-Request-Id"))
	case response.StatusCode == http.StatusOK:
		return "ok", nil
	}
	var refused api.Error
	if err := json.Unmarshal(body, &refused); err != nil {
		return "", fmt.Errorf("an answer %d without an error body: %w", response.StatusCode, err)
	}
	return string(refused.Code), nil
}

// vitals are the resources in which a leak would show.
type vitals struct{ goroutines, descriptors, heap int }

func (v vitals) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MB of live heap", v.goroutines, v.descriptors, float64(v.heap)/1e6)
}

// settle waits until idle connections are closed and the collector has run twice, which
// takes some traffic. It returns the lowest vitals of a while, because the process does
// some work of its own.
func (k *soak) settle(t *testing.T) vitals {
	t.Helper()
	k.http.CloseIdleConnections()
	time.Sleep(2 * soakIdle) // another process: there is no clock to inject
	first := k.metric(t, "go_gc_duration_seconds_count")
	for k.metric(t, "go_gc_duration_seconds_count") < first+2 {
		for range 100 {
			k.ask(t, questions[1])
		}
	}
	k.http.CloseIdleConnections()
	var lowest vitals
	for i := range 20 {
		time.Sleep(soakIdle / 4) // as above
		v := vitals{
			goroutines: int(k.metric(t, "go_goroutines")), descriptors: int(k.metric(t, "process_open_fds")),
			heap: int(k.metric(t, "go_memstats_next_gc_bytes") / 2), // GOGC is 100: twice the live heap
		}
		if i == 0 {
			lowest = v
		}
		lowest = vitals{min(lowest.goroutines, v.goroutines), min(lowest.descriptors, v.descriptors), min(lowest.heap, v.heap)}
	}
	return lowest
}

func (k *soak) metric(t *testing.T, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + k.ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("metric %s is missing", name)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func (k *soak) stop(t *testing.T) {
	t.Helper()
	if err := k.s.stop(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// account checks every request. Each has one log line with the code that the caller saw,
// or is counted in a line of refusals with that code. Each released key has one audit
// record.
func (k *soak) account(t *testing.T) {
	t.Helper()
	logged := k.logged(t)
	codes, uncounted := map[string]int{}, map[string]int{}
	for _, line := range logged[""] {
		uncounted[line.Code] -= line.Count
	}
	for id, code := range k.answered {
		lines := logged[id]
		switch {
		case code == "" && len(lines) <= 1: // the caller left, perhaps before the request arrived
			codes["gone"]++
		case code != "ok" && len(lines) == 0:
			codes[code]++
			uncounted[code]++
		case len(lines) != 1 || lines[0].Code != code:
			t.Errorf("request %s was answered %q and logged %v", id, code, lines)
		default:
			codes[code]++
		}
	}
	for code, n := range uncounted {
		if n > 0 {
			t.Errorf("%d requests with the answer %s are neither logged nor counted", n, code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		t.Logf("soak: %7d %s", codes[code], code)
	}
	if codes["ok"] == 0 || codes["unavailable"]+codes["untrusted_response"]+codes["no_evidence"] == 0 {
		t.Error("the traffic was not mixed")
	}
	k.audited(t, logged)
}

type logLine struct {
	Message string `json:"msg"`
	ID      string `json:"request_id"`
	Route   string `json:"route"`
	Code    string `json:"code"`
	Count   int    `json:"count"` // of the requests that this line stands for
}

func (k *soak) logged(t *testing.T) map[string][]logLine {
	t.Helper()
	file, err := os.Open(k.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	logged := map[string][]logLine{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line logLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("a line of the log: %v", err)
		}
		if line.Code == string(api.Internal) {
			t.Errorf("a bug: %s", lines.Text())
		}
		if line.Message == "request" || line.Message == "refusals" {
			logged[line.ID] = append(logged[line.ID], line)
		}
	}
	return logged
}

func (k *soak) audited(t *testing.T, logged map[string][]logLine) {
	t.Helper()
	stdout, stderr, code := operate(t, nil, "", "audit", "verify", k.audit)
	if code != 0 {
		t.Errorf("skrctl audit verify: %s", stderr)
	}
	t.Logf("soak: %s", bytes.TrimSpace([]byte(stdout)))
	text, err := os.ReadFile(k.audit)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]int{}
	for line := range bytes.Lines(text) {
		var record struct {
			ID     string `json:"request_id"`
			Result string `json:"result"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		if record.Result == "released" {
			records[record.ID]++
		}
	}
	given := 0
	for id, lines := range logged {
		if lines[0].Route == api.RouteRelease && lines[0].Code == "ok" {
			given++
			if records[id] != 1 {
				t.Errorf("the release %s has %d records", id, records[id])
			}
		}
	}
	if given == 0 {
		t.Error("no key was released")
	}
}

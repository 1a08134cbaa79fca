package e2e

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// A key that is kept, over loopback to the real binary: each request is identified,
// admitted, decoded strictly, held against the allow-lists, recorded in the audit
// chain and logged. The clients are in this process, on the same processors.
func BenchmarkKept(b *testing.B) {
	cloud := program.Cloud(b, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(b, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	s := start(b, append(cloud.Environment(cloud.Machine()),
		"SKR_KEY_CACHE_TTL=1h", "SKR_CALLER_RATE=1000000", "SKR_LOG_FILE=/dev/null")).ready(b)
	body := []byte(`{"maa_endpoint":"` + cloud.AttestationHost() + `","akv_endpoint":"` + vault + `","kid":"k"}`)
	ask := func(client *http.Client) {
		response, err := client.Post("http://"+s.address+api.RouteRelease, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("status %d, %v", response.StatusCode, err)
		}
		_ = response.Body.Close()
	}
	for _, clients := range []int{1, 8 * runtime.GOMAXPROCS(0)} {
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			pool := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
			defer pool.CloseIdleConnections()
			ask(pool)
			before := cpuTime(b, s.process.Process.Pid)
			took := spread(clients, b, func() { ask(pool) })
			used := cpuTime(b, s.process.Process.Pid) - before
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/1e3, "server-cpu-µs")
		})
	}
	// What net/http, the kernel and the log cost for any request at all.
	b.Run("status", func(b *testing.B) {
		before := cpuTime(b, s.process.Process.Pid)
		for b.Loop() {
			if !statusOK(s) {
				b.Fatal("not ready")
			}
		}
		b.ReportMetric(float64((cpuTime(b, s.process.Process.Pid)-before).Nanoseconds())/float64(b.N)/1e3, "server-cpu-µs")
	})
	if got := cloud.Faults().Requests(emulator.ServiceRelease); got != 1 {
		b.Errorf("%d requests to the vault, want 1", got)
	}
}

// spread b.N calls over clients, and return how long each took.
func spread(clients int, b *testing.B, call func()) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
	if clients == 1 {
		for range b.N {
			begin := time.Now()
			call()
			took = append(took, time.Since(begin))
		}
		return took
	}
	b.RunParallel(func(pb *testing.PB) {
		var mine []time.Duration
		for pb.Next() {
			begin := time.Now()
			call()
			mine = append(mine, time.Since(begin))
		}
		mu.Lock()
		defer mu.Unlock()
		took = append(took, mine...)
	})
	return took
}

// cpuTime that a process has used, of all its threads (proc_pid_stat(5), utime and
// stime, in ticks of 10 ms).
func cpuTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Skipf("this system does not tell a process's time: %v", err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

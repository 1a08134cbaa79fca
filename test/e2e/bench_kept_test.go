package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// A cached key, over loopback from the real binary. Each request passes authentication,
// admission, strict decoding, the allow-lists, the audit chain and the log. The clients
// run in this process, on the same processors. They read and write HTTP themselves,
// because net/http's client would take as much time as the server. "of-floor" compares
// with a net/http handler that only sends an answer of the same length.
func BenchmarkKept(b *testing.B) {
	cloud := program.Cloud(b, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(b, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	s := start(b, append(cloud.Environment(cloud.Machine()),
		"SKR_KEY_CACHE_TTL=1h", "SKR_CALLER_RATE=1000000", "SKR_LOG_FILE=/dev/null")).ready(b)
	body := []byte(`{"maa_endpoint":"` + cloud.AttestationHost() + `","akv_endpoint":"` + vault + `","kid":"k"}`)
	size := dialWire(b, s.address, api.RouteRelease, body).ask(b)
	floor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, size))
	}))
	defer floor.Close()
	for _, clients := range []int{1, 8 * runtime.GOMAXPROCS(0)} {
		var best float64 // requests per second at the floor
		b.Run("floor,clients="+strconv.Itoa(clients), func(b *testing.B) {
			best = pour(b, clients, strings.TrimPrefix(floor.URL, "http://"), body)
		})
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			before := cpuTime(b, s.process.Process.Pid)
			rate := pour(b, clients, s.address, body)
			used := cpuTime(b, s.process.Process.Pid) - before
			b.ReportMetric(rate/best, "of-floor")
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/1e3, "server-cpu-µs")
		})
	}
	// The cost of net/http, the kernel and the log for any request.
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

// pour sends b.N requests from the given number of clients and returns the requests per
// second.
func pour(b *testing.B, clients int, address string, body []byte) (rate float64) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	wires := make([]*wire, clients)
	for i := range wires {
		wires[i] = dialWire(b, address, api.RouteRelease, body)
		wires[i].ask(b) // opens the connection
	}
	took := make([][]time.Duration, clients)
	var all sync.WaitGroup
	b.ResetTimer()
	for i, w := range wires {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				begin := time.Now()
				w.ask(b)
				took[i] = append(took[i], time.Since(begin))
			}
		})
	}
	all.Wait()
	rate = float64(b.N) / b.Elapsed().Seconds()
	sorted := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(sorted[len(sorted)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(sorted[len(sorted)*99/100].Nanoseconds())/1e3, "p99-µs")
	b.ReportMetric(rate, "requests/s")
	return rate
}

// wire is an HTTP/1.1 client that repeats one request.
type wire struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

func dialWire(b *testing.B, address, route string, body []byte) *wire {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		route, address, len(body), body)
	return &wire{conn, bufio.NewReaderSize(conn, 16<<10), request}
}

// ask returns the length of the answer, which must be a 200 with a Content-Length.
func (w *wire) ask(b *testing.B) (length int) {
	if _, err := w.conn.Write(w.request); err != nil {
		b.Error(err)
		return 0
	}
	for line := []byte(nil); len(line) != len("\r\n"); {
		var err error
		if line, err = w.in.ReadSlice('\n'); err != nil {
			b.Error(err)
			return 0
		}
		if status, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 ")); ok && !bytes.HasPrefix(status, []byte("200 ")) {
			b.Errorf("status %s", status)
		}
		if text, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(text))) // a bad length fails below
		}
	}
	if n, err := w.in.Discard(length); err != nil || n == 0 {
		b.Errorf("%d bytes of the answer, %v", n, err)
	}
	return length
}

// cpuTime returns the CPU time that all threads of a process used (proc_pid_stat(5),
// utime and stime, in ticks of 10 ms).
func cpuTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Skipf("this system does not report CPU time: %v", err)
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

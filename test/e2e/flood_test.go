package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

const (
	floodMemory   = 64 << 20 // bytes of RssAnon: memory that the process does not share
	floodRequests = 100
	floodInTime   = 95 // percent
	floodWaves    = 4
	floodPatience = time.Second
	floodLog      = 64 << 10 // bytes that the log may hold about the flood
)

// Under each flood by another user, memory stays bounded, the log describes the flood in
// a few lines, and a caller with a rule gets its key in time.
func TestFloods(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can act as several users")
	}
	for kind := range floods {
		t.Run(kind, func(t *testing.T) {
			f := newFlooded(t)
			f.flood(t, kind)
			took := f.ask(t)
			late, most := 0, f.most()
			for _, one := range took {
				if one > floodPatience {
					late++
				}
			}
			t.Logf("%d of %d requests later than %v, median %v; peak RssAnon %.1f MB; %d bytes of log about the flood",
				late, len(took), floodPatience, took[len(took)/2], float64(most)/1e6, f.written())
			if late*100 > max(len(took), floodRequests)*(100-floodInTime) {
				t.Errorf("%d of %d requests took longer than %v", late, len(took), floodPatience)
			}
			if most > floodMemory {
				t.Errorf("%d bytes of memory", most)
			}
			if n := f.written(); n > floodLog {
				t.Errorf("%d bytes of log", n)
			}
		})
	}
}

// BenchmarkFloods measures how long another user's request takes under each flood.
func BenchmarkFloods(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("only root can act as several users")
	}
	for kind := range floods {
		b.Run(kind, func(b *testing.B) {
			f := newFlooded(b)
			f.flood(b, kind)
			var took []time.Duration
			for b.Loop() {
				took = append(took, f.once(b))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds()), "p95-µs")
			b.ReportMetric(float64(f.most())/1e6, "RssAnon-MB")
		})
	}
}

// flooded is a sidecar on sockets with one known caller: this process.
type flooded struct {
	*sidecar
	http, grpc string
	waves      chan string // the flood's report after each

	mu     sync.Mutex
	memory int // the peak
}

func newFlooded(t testing.TB) *flooded {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // another user must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f := &flooded{http: filepath.Join(dir, "http"), grpc: filepath.Join(dir, "grpc")}
	process := exec.Command("sh", "-c", "ulimit -n 1024; exec "+program.Path("skr")+" serve --listen unix:"+f.http+" --grpc-listen unix:"+f.grpc)
	process.Env = append(cloud.Environment(cloud.Machine()), "SKR_KEY_CACHE_TTL=1h",
		fmt.Sprintf(`SKR_KEYS={"demo":{"vault":%q,"key":"k","authority":%q}}`, vault, cloud.AttestationHost()),
		`SKR_ACCESS=[{"name":"app","uid":0,"routes":["/key/release"],"keys":["demo"]}]`)
	f.sidecar = launch(t, process, "localhost")
	eventually(t, "skr is ready", func() bool { return strings.Contains(f.log.String(), `"msg":"ready"`) })
	return f
}

// flood starts a flood as another user, and returns once it is under way.
func (f *flooded) flood(t testing.TB, kind string) {
	t.Helper()
	_ = f.once(t) // caches the key
	process := exec.Command(os.Args[0])
	process.Env = []string{"SKR_TEST_FLOOD=" + kind, "SKR_TEST_FLOOD_HTTP=" + f.http, "SKR_TEST_FLOOD_GRPC=" + f.grpc, "GOMAXPROCS=2"}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var watched sync.WaitGroup
	watched.Go(func() { f.watch(ctx, t) })
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		stop()
		watched.Wait()
	})
	f.waves = make(chan string, floodWaves)
	go func() {
		defer close(f.waves)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			f.waves <- lines.Text()
		}
	}()
	if _, begun := <-f.waves; !begun {
		t.Fatal("the flood did not begin")
	}
}

// watch records the peak memory of the process.
func (f *flooded) watch(ctx context.Context, t testing.TB) {
	for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		now := residentBytes(t, f.process.Process.Pid, "RssAnon:")
		f.mu.Lock()
		f.memory = max(f.memory, now)
		f.mu.Unlock()
	}
}

func (f *flooded) most() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.memory
}

// written returns how many bytes of the log are not about the known caller's requests.
func (f *flooded) written() (bytes int) {
	for line := range strings.Lines(f.log.String()) {
		if !strings.Contains(line, "rule app") {
			bytes += len(line)
		}
	}
	return bytes
}

// ask requests the key repeatedly while the waves come, and returns the times in
// ascending order.
func (f *flooded) ask(t *testing.T) (took []time.Duration) {
	failed := 0
	for waves := 0; failed <= floodRequests-floodInTime && (waves < floodWaves || len(took) < floodRequests); {
		select { // the requests do not wait for the waves
		case _, open := <-f.waves:
			if !open {
				t.Fatal("the flood ended")
			}
			waves++
		default:
			one := f.once(t)
			took = append(took, one)
			if one == never {
				failed++ // too many end the loop, because each takes seconds
			}
		}
	}
	slices.Sort(took)
	return took
}

const never = time.Hour // for a request that got no key

// once requests the key on a new connection.
func (f *flooded) once(t testing.TB) time.Duration {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", f.http)
	}}
	client := http.Client{Transport: transport, Timeout: 3 * time.Second}
	begin := time.Now()
	response, err := client.Post("http://localhost"+api.RouteRelease, "application/json", strings.NewReader(`{"alias":"demo"}`))
	if err != nil {
		t.Log(err)
		return never
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Logf("status %d", response.StatusCode)
		return never
	}
	return time.Since(begin)
}

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
)

// watchURL returns the URL of a watch of the alias orders.
func (s *sidecar) watchURL(version string) string {
	return "http://" + s.address + api.RouteWatch + "?alias=orders&timeout=5m&version=" + version
}

// A rotation is told to all that wait: by long poll and by server-sent events, as curl asks, and to
// the Go client. The vault is not asked more often because of them.
func TestWatch(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	first := r.version(t)
	s := start(t, append(r.env, r.aliases(map[string]string{"orders": `"latest"`}), "SKR_KEY_REFRESH=1s")).ready(t)
	if got, err := s.client.WatchOnce(t.Context(), "orders", "", time.Minute); err != nil || got.Version != first ||
		!strings.HasSuffix(got.KID, "/keys/orders/"+first) {
		t.Fatalf("%+v, %v", got, err)
	}
	events := exec.CommandContext(t.Context(), "curl", "-sN", "-H", "Accept: text/event-stream", s.watchURL(""))
	stream, err := events.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := events.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stream)
	next := func(want string) {
		t.Helper()
		for lines.Scan() {
			if line := lines.Text(); strings.HasPrefix(line, "id: ") {
				if line != "id: "+want {
					t.Errorf("got %s, want %s", line, want)
				}
				return
			}
		}
		t.Fatal("the stream ended")
	}
	next(first)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string, 10)
	go func() {
		defer close(seen)
		for version, err := range s.client.Watch(ctx, "orders") {
			if err != nil {
				t.Error(err)
			}
			seen <- version.Version
		}
	}()
	if got := <-seen; got != first {
		t.Errorf("the client begins with %s", got)
	}
	poll := exec.CommandContext(t.Context(), "curl", "-sf", s.watchURL(first))
	answered := make(chan string, 1)
	go func() {
		answer, err := poll.Output()
		if err != nil {
			t.Error(err)
		}
		answered <- string(answer)
	}()
	r.cloud.Faults().ResetCounters()
	begun := time.Now()
	second := r.rotate(t)
	if got := <-answered; !strings.Contains(got, `"version":"`+second+`"`) {
		t.Errorf("the poll got %s", got)
	}
	if got := <-seen; got != second {
		t.Errorf("the client got %s", got)
	}
	next(second)
	if asked, most := r.cloud.Faults().Requests(emulator.ServiceRelease), int(time.Since(begun)/(700*time.Millisecond))+2; asked > most {
		t.Errorf("%d requests to the vault in %v, more than %d", asked, time.Since(begun), most)
	}
	cancel()
	<-seen
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	for lines.Scan() {
	}
	if err := events.Wait(); err != nil {
		t.Errorf("curl: the stream ended with %v", err)
	}
}

// A flood of watchers is bounded, and does not keep others from their keys. The stop does not wait
// for them.
func TestFloodOfWatchers(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	s := start(t, append(r.env, r.aliases(map[string]string{"orders": `"latest"`}), "SKR_KEY_CACHE_TTL=1h", "SKR_CALLER_RATE=10000")).ready(t)
	version := r.release(t, s, "orders", "").Version()
	const flood = 150
	results := make(chan int, flood)
	var all sync.WaitGroup
	for range flood {
		all.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.watchURL(version), nil)
			if err != nil {
				t.Error(err)
				return
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Error(err)
				results <- 0
				return
			}
			_ = response.Body.Close()
			results <- response.StatusCode
		})
	}
	refused := 0
	for refused < flood-32 { // the others wait
		if got := <-results; got != http.StatusServiceUnavailable {
			t.Fatalf("answered %d", got)
		}
		refused++
	}
	for range 20 {
		if got := r.release(t, s, "orders", "").Version(); got != version {
			t.Errorf("released %s", got)
		}
	}
	if _, err := s.client.WatchOnce(t.Context(), "orders", "", time.Second); !errors.Is(err, api.Throttled) {
		t.Errorf("one more watcher: %v", err)
	}
	begun := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if took := time.Since(begun); took > 9*time.Second {
		t.Errorf("the stop took %v", took)
	}
	all.Wait()
	close(results)
	for got := range results {
		if got != http.StatusOK {
			t.Errorf("one that waited got %d", got)
		}
	}
}

// On a unix socket with access rules, the route and the alias are the caller's.
func TestWatchOnASocket(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "skr.sock")
	start(t, append(r.env, r.aliases(map[string]string{"orders": `"latest"`, "bills": `"latest"`}), "SKR_LISTEN=unix:"+socket,
		fmt.Sprintf(`SKR_ACCESS=[{"name":"us","uid":%d,"routes":["/key/watch"],"keys":["orders"]}]`, os.Getuid())))
	client, err := api.NewClient(api.Config{BaseURL: "unix:" + socket})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := client.WatchOnce(t.Context(), "orders", "", time.Minute); err != nil || got.Version != r.version(t) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := client.WatchOnce(t.Context(), "bills", "", time.Minute); !errors.Is(err, api.CallerNotAllowed) {
		t.Errorf("another alias: %v", err)
	}
	if _, err := client.ReleaseKey(t.Context(), api.ReleaseRequest{Alias: "orders"}); !errors.Is(err, api.CallerNotAllowed) {
		t.Errorf("a release: %v", err)
	}
}

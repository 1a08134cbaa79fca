package docs

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"skr/api"
)

// load requests the key "orders" from the pods of a directory, as a service in front of them would: in
// turn from each pod that has a file .up. It retries nothing, and counts what fails.
type load struct {
	pods []*loaded
	end  context.CancelFunc
	done chan struct{}

	mu       sync.Mutex
	failures []error
	answered int
	versions map[string]int // answers by the version of the key
}

// loaded is a pod under load.
type loaded struct {
	path     string // without the suffix
	client   *api.Client
	requests int // that are not answered yet
	served   int // answers since .served was removed
}

// Requests begin 10 ms apart. If that many are under way, the next one waits.
const (
	interval = 10 * time.Millisecond
	inFlight = 32
	batch    = 100
)

func startLoad(t *testing.T, dir string, names ...string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{end: cancel, done: make(chan struct{}), versions: map[string]int{}}
	for _, name := range names {
		path := filepath.Join(dir, "pod-"+name)
		client, err := api.NewClient(api.Config{BaseURL: "unix:" + path + ".sock", Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		l.pods = append(l.pods, &loaded{path: path, client: client})
	}
	go l.run(ctx)
	return l
}

// run sends requests until ctx ends, and waits for their answers.
func (l *load) run(ctx context.Context) {
	defer close(l.done)
	places, ticks := make(chan struct{}, inFlight), time.NewTicker(interval)
	defer ticks.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for turn := 0; ctx.Err() == nil; turn++ {
		<-ticks.C
		l.report()
		pod := l.next(turn)
		if pod == nil {
			continue
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			key, err := pod.client.ReleaseKey(context.WithoutCancel(ctx), api.ReleaseRequest{Alias: "orders"})
			key.Wipe()
			l.answer(pod, key.Version(), err)
		})
	}
}

// next returns the pod whose turn it is, or nil if none is up. Whether it is up is read together with
// counting the request, so that no pod is drained in between.
func (l *load) next(turn int) *loaded {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.pods {
		pod := l.pods[(turn+i)%len(l.pods)]
		if exists(pod.path + ".up") {
			pod.requests++
			return pod
		}
	}
	return nil
}

func (l *load) answer(pod *loaded, version string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pod.requests--
	l.answered++
	if err != nil {
		l.failures = append(l.failures, err)
	} else {
		pod.served++
		l.versions[version]++
	}
}

// report writes .served and .drained.
func (l *load) report() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, pod := range l.pods {
		if exists(pod.path + ".served") {
			pod.served = 0
		} else if pod.served >= batch || len(l.failures) > 0 { // after a failure there is nothing to wait for
			touch(pod.path + ".served")
		}
		if exists(pod.path + ".up") {
			_ = os.Remove(pod.path + ".drained") // if it is there, from before the pod was up
		} else if pod.requests == 0 {
			touch(pod.path + ".drained")
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func touch(path string) { _ = os.WriteFile(path, nil, 0o600) } // the script waits for it

// stop ends the load and checks that every request had its answer, with one version of the key before the
// rotation and one after it.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.end()
	<-l.done
	t.Logf("%d requests, %d failures", l.answered, len(l.failures))
	if len(l.failures) > 0 {
		t.Errorf("%d of %d requests failed, the first with %v", len(l.failures), l.answered, l.failures[0])
	}
	if len(l.versions) != 2 { // one until the key was rotated
		t.Errorf("the answers had the versions %v", l.versions)
	}
	if l.answered < 5*batch {
		t.Errorf("only %d requests were answered", l.answered)
	}
}

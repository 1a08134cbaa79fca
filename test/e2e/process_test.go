package e2e

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// Without a device there is no evidence, and nothing replaces it.
func TestWithoutDevice(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	listening(t, s)
	_, err := s.client.Report(t.Context(), []byte("data"))
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || refused.Code != api.NoEvidence || refused.Status != http.StatusInternalServerError {
		t.Fatalf("got %v, want no_evidence", err)
	}
	for _, tried := range []string{"/dev/sev-guest", "configfs-tsm"} {
		if !strings.Contains(refused.Message, tried) {
			t.Errorf("the message does not name %s, which was tried: %s", tried, refused.Message)
		}
	}
	response, err := http.Get("http://" + s.address + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %d while not ready, want 200", response.StatusCode)
	}
}

// After SIGTERM a running release completes, and then the process ends with code 0.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	cloud.Faults().SetLatency(emulator.ServiceRelease, time.Second)
	s := start(t, cloud.Environment(cloud.Machine())).ready(t)
	released := make(chan error, 1)
	go func() {
		_, err := s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "k"})
		released <- err
	}()
	eventually(t, "the vault gets the request", func() bool { return cloud.Faults().Requests(emulator.ServiceRelease) == 1 })
	if err := s.stop(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if err := <-released; err != nil {
		t.Errorf("the running release got %v", err)
	}
}

func TestSizeAndMemory(t *testing.T) {
	info, err := os.Stat(program.Path("skr"))
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(21 << 20); info.Size() > limit {
		t.Errorf("the binary has %d bytes, more than %d", info.Size(), limit)
	}
	cloud := program.Cloud(t, emulator.Config{})
	began := time.Now()
	s := start(t, cloud.Environment(cloud.Machine())).ready(t)
	ready := time.Since(began)
	pid := s.process.Process.Pid
	eventually(t, "the memory of the start is freed", func() bool { return residentBytes(t, pid, "RssAnon:") < 8<<20 })
	rss := residentBytes(t, pid, "VmRSS:")
	settle(t, s)
	cpu, wakes := cpuTime(t, pid), wakeUps(t, pid)
	time.Sleep(3 * time.Second) // another process: there is no clock to inject
	t.Logf("binary %.1f MB, ready after %d ms as a client sees it; idle: %.1f MB resident, "+
		"%.1f MB of them its own and not the binary's; in 3 s at rest %v of CPU time and %d wake-ups",
		float64(info.Size())/1e6, ready.Milliseconds(), float64(rss)/1e6, float64(residentBytes(t, pid, "RssAnon:"))/1e6, cpuTime(t, pid)-cpu, wakeUps(t, pid)-wakes)
	if rss > 27<<20 {
		t.Errorf("%d bytes resident when idle, more than 27 MiB", rss)
	}
}

// residentBytes returns a field of the process's status in bytes (proc_pid_status(5)).
func residentBytes(t testing.TB, pid int, field string) int {
	t.Helper()
	kilobytes, found := statusField(t, "/proc/"+strconv.Itoa(pid)+"/status", field)
	if !found {
		t.Fatalf("no %s", field)
	}
	return kilobytes << 10
}

// wakeUps returns how often the threads of the process waited for something.
func wakeUps(t *testing.T, pid int) (total int) {
	t.Helper()
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		number, _ := statusField(t, thread, "voluntary_ctxt_switches:")
		total += number
	}
	return total
}

func statusField(t testing.TB, path, field string) (value int, found bool) {
	t.Helper()
	status, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("this system does not report a process's state: %v", err)
	}
	for line := range bytes.Lines(status) {
		if fields := strings.Fields(string(line)); len(fields) > 1 && fields[0] == field {
			if value, err = strconv.Atoi(fields[1]); err != nil {
				t.Fatal(err)
			}
			return value, true
		}
	}
	return 0, false
}

func listening(t *testing.T, s *sidecar) {
	t.Helper()
	eventually(t, "skr listens", func() bool {
		response, err := http.Get("http://" + s.address + "/status")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
}

// eventually polls another process, which has no clock to inject.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("still waiting after %v: %s", patience, what)
}

// skr warns if the mounted policy is not the enforced one. A release policy that is made
// from the mounted file would refuse this pod.
func TestMountedPolicyIsCompared(t *testing.T) {
	t.Parallel()
	const warning = "the mounted security policy is not the one"
	cloud := program.Cloud(t, emulator.Config{})
	env := cloud.Environment(cloud.Machine())
	same := start(t, env).ready(t)
	if strings.Contains(same.log.String(), warning) {
		t.Error("the log warns although the enforced policy is mounted")
	}
	other := start(t, append(env, "UVM_SECURITY_CONTEXT_DIR=/nonexistent", "UVM_SECURITY_POLICY=cGFja2FnZSBwb2xpY3k=")).ready(t)
	eventually(t, "the log warns about another policy", func() bool { return strings.Contains(other.log.String(), warning) })
}

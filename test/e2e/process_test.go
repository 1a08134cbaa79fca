package e2e

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// Without a device there is no evidence, and nothing else in its place.
func TestWithoutDevice(t *testing.T) {
	s := start(t, nil)
	listening(t, s)
	_, err := s.client.Report(t.Context(), []byte("data"))
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || refused.Code != api.NoEvidence || refused.Status != http.StatusInternalServerError {
		t.Fatalf("got %v, want no_evidence", err)
	}
	for _, tried := range []string{"/dev/sev-guest", "configfs-tsm"} {
		if !strings.Contains(refused.Message, tried) {
			t.Errorf("the message does not say that %s was tried: %s", tried, refused.Message)
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

// SIGTERM lets a running release end, and then the process, with success.
func TestGracefulStop(t *testing.T) {
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
	eventually(t, "the vault is asked", func() bool { return cloud.Faults().Requests(emulator.ServiceRelease) == 1 })
	if err := s.stop(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if err := <-released; err != nil {
		t.Errorf("the release that was running got %v", err)
	}
}

func TestSizeAndMemory(t *testing.T) {
	info, err := os.Stat(program.Path("skr"))
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(20 << 20); info.Size() > limit {
		t.Errorf("the binary has %d bytes, more than %d", info.Size(), limit)
	}
	cloud := program.Cloud(t, emulator.Config{})
	began := time.Now()
	s := start(t, cloud.Environment(cloud.Machine())).ready(t)
	rss := residentBytes(t, s.process.Process.Pid)
	t.Logf("binary %.1f MB, ready after %d ms as a client sees it, %.1f MB resident when idle",
		float64(info.Size())/1e6, time.Since(began).Milliseconds(), float64(rss)/1e6)
	if rss > 25<<20 {
		t.Errorf("%d bytes resident when idle, more than 25 MiB", rss)
	}
}

func residentBytes(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Skipf("this system does not tell a process's memory: %v", err)
	}
	for line := range bytes.Lines(status) {
		if fields := strings.Fields(string(line)); len(fields) == 3 && fields[0] == "VmRSS:" {
			kilobytes, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
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

// eventually polls another process; there is no clock to inject there.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("after 20 s it is still not so that %s", what)
}

// A mounted policy that is not the enforced one is told: whoever writes release
// policies from the file would be locked out.
func TestMountedPolicyIsCompared(t *testing.T) {
	const warning = "the mounted security policy is not the one"
	cloud := program.Cloud(t, emulator.Config{})
	env := cloud.Environment(cloud.Machine())
	same := start(t, env).ready(t)
	if strings.Contains(same.log.String(), warning) {
		t.Error("the enforced policy is called another")
	}
	other := start(t, append(env, "UVM_SECURITY_CONTEXT_DIR=/nonexistent", "UVM_SECURITY_POLICY=cGFja2FnZSBwb2xpY3k=")).ready(t)
	if !strings.Contains(other.log.String(), warning) {
		t.Error("another policy is not told")
	}
}

package apiserver

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestInterrupt checks that a run that is interrupted during a test leaves no process and no
// file behind.
func TestInterrupt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	if !strings.HasPrefix(temporary, cluster.dir) {
		t.Errorf("the tests write to %s, which an interrupted run does not remove", temporary)
	}
	run := exec.CommandContext(t.Context(), self, "-test.run=^TestHelm$")
	run.Env = append(os.Environ(), announced+"=1", "HELM="+tools.helm, "TMPDIR="+temporary)
	run.Stderr = os.Stderr
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the run did not start: %v, %v", err, run.Wait())
	}
	var dir string
	var etcd, api, helm int
	if _, err := fmt.Sscan(line, &dir, &etcd, &api, &helm); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if filepath.Dir(dir) != temporary {
		t.Errorf("the API server's directory is %s, want one in %s", dir, temporary)
	}
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait()
	if code := run.ProcessState.ExitCode(); code != 130 {
		t.Errorf("the run ended with %d, want 130", code)
	}
	for name, pid := range map[string]int{"etcd": etcd, "kube-apiserver": api, "helm": helm} {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s still runs: %v", name, err)
		}
	}
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

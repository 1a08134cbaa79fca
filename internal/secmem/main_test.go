//go:build linux

package secmem

import (
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// unprivileged tells a child of the test to run without the right to lock memory.
const unprivileged = "SKR_SECMEM_TEST_UNPRIVILEGED"

func TestMain(m *testing.M) {
	if os.Getenv(unprivileged) == "" {
		os.Exit(m.Run())
	}
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{})
	at := Protect()
	b := Hold([]byte(canary))
	var found string
	_ = b.Use(func(secret []byte) error { found = string(secret); return nil })
	b.Wipe()
	_ = json.NewEncoder(os.Stdout).Encode(answer{at, Now(), found})
}

type answer struct {
	Start, End Status
	Found      string
}

// TestWithoutPermission checks that secrets live on the heap if the process may not lock
// memory, and that Status reports it.
func TestWithoutPermission(t *testing.T) {
	child := exec.CommandContext(t.Context(), "/proc/self/exe") // bypasses directories that the user nobody may not enter
	child.Env = []string{unprivileged + "=yes"}
	if os.Getuid() == 0 {
		const nobody = 65534 // has no CAP_IPC_LOCK, which would lift the limit
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got answer
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := answer{Status{None, 0, 1}, Status{None, 0, 1 + len(canary)}, canary}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

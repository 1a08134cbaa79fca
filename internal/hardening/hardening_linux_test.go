package hardening

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// role tells a child of the test which role it has.
const role = "SKR_HARDENING_TEST_ROLE"

// nobody is the children's user if the test runs as root, because root may read
// everything.
const nobody = 65534

func TestMain(m *testing.M) {
	switch part := os.Getenv(role); part {
	case "":
		os.Exit(m.Run())
	case "hardened", "plain":
		stand(part == "hardened")
	default:
		open(part)
	}
}

// state is what a child reports about itself.
type state struct {
	Refused    []string
	Dumpable   int
	Core       unix.Rlimit
	Privileged int // threads without no_new_privs
	Threads    int
}

// stand reports the process's state and waits for the end of the input.
func stand(hardened bool) {
	var s state
	if hardened {
		for _, err := range Apply() {
			s.Refused = append(s.Refused, err.Error())
		}
	}
	s.Dumpable, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &s.Core)
	threads, _ := filepath.Glob("/proc/self/task/*/status")
	for _, thread := range threads {
		text, _ := os.ReadFile(thread)
		if s.Threads++; !strings.Contains(string(text), "NoNewPrivs:\t1\n") {
			s.Privileged++
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(s)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// open tries to open a file and returns the result as text.
func open(path string) {
	f, err := os.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = f.Close()
	fmt.Println("opened")
}

// child runs this binary in a role, without privileges. The link bypasses directories that
// its user may not enter.
func child(t *testing.T, part string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "/proc/self/exe")
	c.Env = []string{role + "=" + part}
	c.Stderr = os.Stderr
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return c
}

// start runs a child until the test ends and returns its state.
func start(t *testing.T, part string) (pid int, s state) {
	t.Helper()
	c := child(t, part)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &s); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid, s
}

func TestApply(t *testing.T) {
	_, plain := start(t, "plain")
	if plain.Dumpable != 1 {
		t.Errorf("an ordinary process has dumpable %d: the test proves nothing", plain.Dumpable)
	}
	_, s := start(t, "hardened")
	if s.Dumpable != 0 || s.Core.Cur != 0 || s.Core.Max != 0 {
		t.Errorf("dumpable is %d and the core size %d of at most %d, want zeros", s.Dumpable, s.Core.Cur, s.Core.Max)
	}
	if len(s.Refused) == 1 && strings.HasSuffix(s.Refused[0], syscall.ENOTSUP.Error()) {
		t.Skip("the test binary has cgo: no_new_privs of all threads is not tested")
	}
	if len(s.Refused) != 0 || s.Privileged != 0 || s.Threads < 2 {
		t.Errorf("%d of %d threads may gain privileges; refused: %q", s.Privileged, s.Threads, s.Refused)
	}
}

// TestNeighbourReadsNothing checks that a process of the same user cannot open the files
// that expose memory and environment.
func TestNeighbourReadsNothing(t *testing.T) {
	hardened, _ := start(t, "hardened")
	plain, _ := start(t, "plain")
	for _, file := range []string{"mem", "environ", "maps"} {
		read := func(pid int) string {
			out, err := child(t, fmt.Sprintf("/proc/%d/%s", pid, file)).Output()
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(out))
		}
		if got := read(hardened); !strings.HasSuffix(got, "permission denied") {
			t.Errorf("%s: %s", file, got)
		}
		if got := read(plain); got != "opened" {
			t.Logf("%s of an ordinary process: %s; on this system the test proves little", file, got)
		}
	}
}

package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const role = "SKR_SUPERVISOR_TEST_ROLE"

// TestMain runs a supervisor if the variable has a script for it. It is then the parent of
// processes that lost theirs, like the first process of a container.
func TestMain(m *testing.M) {
	script := os.Getenv(role)
	if script == "" {
		os.Exit(m.Run())
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	os.Exit(supervise(script))
}

func supervise(script string) int {
	s := New(Config{Grace: 50 * time.Millisecond})
	defer s.Close()
	program := Program{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: os.Environ()}
	if err := s.Start(program); err != nil {
		panic(err)
	}
	changes := make(chan Change)
	go func() { // each line of the input is a change
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			switch lines.Text() {
			case "again":
				changes <- Change{Again: starts{s, program}}
			case "signal":
				changes <- Change{Signal: syscall.SIGUSR1}
			}
		}
	}()
	code, err := s.Wait(changes)
	if err != nil {
		panic(err)
	}
	return code
}

type starts struct {
	supervisor *Supervisor
	program    Program
}

func (s starts) Start() error { return s.supervisor.Start(s.program) }
func (s starts) Drop()        { fmt.Println("dropped") }

// supervised is a process that supervises a script.
type supervised struct {
	process *exec.Cmd
	in      io.WriteCloser
	lines   *bufio.Scanner
}

func run(t *testing.T, script string) *supervised {
	t.Helper()
	s := &supervised{process: exec.CommandContext(t.Context(), "/proc/self/exe")}
	s.process.Env, s.process.Stderr = append(os.Environ(), role+"="+script), os.Stderr
	var err error
	if s.in, err = s.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(out)
	return s
}

func (s *supervised) says(t *testing.T, want string) {
	t.Helper()
	if !s.lines.Scan() || s.lines.Text() != want {
		t.Fatalf("the program says %q, %v; want %q", s.lines.Text(), s.lines.Err(), want)
	}
}

func (s *supervised) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.in, text+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (s *supervised) code(t *testing.T) int {
	t.Helper()
	err := s.process.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// children returns the states of the processes whose parent is pid (proc_pid_stat(5)).
func children(t *testing.T, pid int) (states []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == fmt.Sprint(pid) {
			states = append(states, fields[0])
		}
	}
	return states
}

// Processes that lost their parent are collected while the program runs.
func TestReapsOrphans(t *testing.T) {
	s := run(t, `(sh -c 'echo orphan' &); trap 'exit 3' TERM; echo ready; while :; do tail --pid=$$ -f /dev/null & wait $!; kill $!; done`)
	var said []string
	for range 2 {
		s.lines.Scan()
		said = append(said, s.lines.Text())
	}
	if slices.Sort(said); !slices.Equal(said, []string{"orphan", "ready"}) {
		t.Fatalf("the program says %q", said)
	}
	for deadline := time.Now().Add(time.Minute); len(children(t, s.process.Process.Pid)) != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) { // other processes have no clock to inject
			t.Fatalf("the children are %q; want the program alone", children(t, s.process.Process.Pid))
		}
	}
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.code(t); code != 3 {
		t.Errorf("exit %d", code)
	}
}

// A program that ignores SIGTERM is killed for a restart. After SIGTERM from outside it ends.
func TestRestart(t *testing.T) {
	const loops = `; while :; do tail --pid=$$ -f /dev/null & wait $!; kill $!; done`
	s := run(t, `trap 'echo stubborn' TERM; trap 'echo told' USR1; trap 'kill $!; exit 4' INT; echo started`+loops)
	s.says(t, "started")
	s.write(t, "signal")
	s.says(t, "told")
	s.write(t, "again")
	s.says(t, "stubborn")
	s.says(t, "started")
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := s.code(t); code != 4 {
		t.Errorf("exit %d, want 4", code)
	}
}

// A restart that is replaced by a newer one, or by the end, is dropped.
func TestDrops(t *testing.T) {
	s := New(Config{Grace: time.Hour})
	defer s.Close()
	var dropped []string
	again := func(name string) Change { return Change{Again: drop{&dropped, name}} }
	s.apply(again("first"))
	s.apply(again("second"))
	s.forward(syscall.SIGTERM)
	s.apply(again("third"))
	s.drop()
	if got := strings.Join(dropped, " "); got != "first third second" {
		t.Errorf("dropped %q", got)
	}
}

type drop struct {
	all  *[]string
	name string
}

func (d drop) Start() error { return nil }
func (d drop) Drop()        { *d.all = append(*d.all, d.name) }

func TestFind(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]int{
		"no-such-program": notFound, "/no/such/program": notFound, filepath.Join(dir, "text"): notExecutable, dir: notExecutable,
		filepath.Join(dir, "text", "x"): notFound,
	} {
		_, err := Find(name)
		if failed, ok := errors.AsType[*StartError](err); !ok || failed.Code != code {
			t.Errorf("%s: %v, want the code %d", name, err, code)
		}
	}
	if path, err := Find("sh"); err != nil || !filepath.IsAbs(path) {
		t.Errorf("sh is %q, %v", path, err)
	}
}

// The signals that a program expects are passed on; those of this process are not.
func TestForwarded(t *testing.T) {
	all := forwarded()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGSEGV, syscall.SIGPIPE, syscall.SIGTTOU} {
		for _, passed := range all {
			if sig == passed {
				t.Errorf("%v is passed on", sig)
			}
		}
	}
	if len(all) != 13+31 {
		t.Errorf("%d signals", len(all))
	}
}

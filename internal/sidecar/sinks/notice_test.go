package sinks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A command runs with no environment but PATH, and its output goes nowhere.
func TestExec(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("SECRET", "1")
	if err := run(t.Context(), []string{"/bin/sh", "-c", `env > "$0"; pwd >> "$0"; echo shown`, out}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := read(t, out); strings.Contains(got, "SECRET") || !strings.Contains(got, "PATH=") || !strings.HasSuffix(got, "\n/\n") {
		t.Errorf("the command had %s", got)
	}
	if err := run(t.Context(), []string{"/bin/sh", "-c", "echo hunter2; exit 3"}, time.Minute); err == nil ||
		!strings.Contains(err.Error(), "exit status 3") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// A command that does not end is killed with its children.
func TestExecDeadline(t *testing.T) {
	child := filepath.Join(t.TempDir(), "child")
	err := run(t.Context(), []string{"/bin/sh", "-c", `sleep 1000 & echo $! > "$0.new"; mv "$0.new" "$0"; wait`, child}, 500*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Fatalf("got %v", err)
	}
	var pid int
	if _, err := fmt.Sscan(read(t, child), &pid); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); alive(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child lives")
		}
	}
}

// alive reports whether a process runs and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestSignal(t *testing.T) {
	dir := t.TempDir()
	sleeper := exec.Command("/bin/sleep", "1000")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sleeper.Wait() }()
	file := put(t, filepath.Join(dir, "pid"), fmt.Sprintf("%d\n", sleeper.Process.Pid))
	if err := (Spec{Signal: "USR1", PIDFile: file}).notify(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	var failed *exec.ExitError
	if err := <-ended; !errors.As(err, &failed) || failed.Sys().(syscall.WaitStatus).Signal() != syscall.SIGUSR1 {
		t.Errorf("the process ended with %v", err)
	}
	for _, c := range []struct {
		text  string
		fresh bool // whether it is no error before the application runs
		want  string
	}{
		{fmt.Sprint(sleeper.Process.Pid), true, "no such process"},
		{"", false, "does not hold the number"},
		{"1", false, "does not hold the number"},
		{"0", false, "does not hold the number"},
		{"-1", false, "does not hold the number"},
		{"+9999", false, "does not hold the number"},
		{" 9999", false, "does not hold the number"},
		{"9999\n\n", false, "does not hold the number"},
		{"9999 9998", false, "does not hold the number"},
		{"0x10", false, "does not hold the number"},
		{fmt.Sprint(os.Getpid()), false, "does not hold the number"},
		{"99999999999", false, "does not hold the number"},
		{strings.Repeat("9", 100), false, "longer than"},
	} {
		spec := Spec{Signal: "HUP", PIDFile: put(t, file, c.text)}
		if err := spec.notify(t.Context(), false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
		if err := spec.notify(t.Context(), true); (err == nil) != c.fresh {
			t.Errorf("%q at the first time: %v", c.text, err)
		}
	}
	missing := Spec{Signal: "HUP", PIDFile: filepath.Join(dir, "none")}
	if missing.notify(t.Context(), true) != nil || missing.notify(t.Context(), false) == nil {
		t.Error("a missing pid file is an error at the first time, or none later")
	}
}

// A command that fails runs again, and the file is not written again.
func TestNoticeIsRetried(t *testing.T) {
	dir := memory(t)
	path, allowed, count := filepath.Join(dir, "key"), filepath.Join(dir, "allowed"), filepath.Join(dir, "count")
	results := make(chan Result, 100)
	c := config(Spec{Path: path, Aliases: []string{"k"}, Format: "raw",
		Exec: []string{"/bin/sh", "-c", `echo x >> "$0"; test -e "$1"`, count, allowed}})
	c.Done = func(r Result) { results <- r }
	s, keys := open(t, c), newSource()
	keys.set("k", symmetric(t, "a", 1), nil)
	defer running(t, s, keys)()
	if got := <-results; got != NotNotified || s.Err() != nil {
		t.Errorf("%s, %v", got, s.Err())
	}
	info, _ := os.Stat(path)
	put(t, allowed, "")
	for <-results != Written {
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(info, now) || len(read(t, count)) < 4 {
		t.Errorf("written again, or notified once: %v", err)
	}
}

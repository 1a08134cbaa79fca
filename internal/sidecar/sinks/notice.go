package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	execTimeout = 30 * time.Second
	// execPath is the whole environment of a command.
	execPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	maxPID   = 32 // bytes of a pid file
)

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH,
}

func (s Spec) checkNotice() error {
	switch {
	case len(s.Exec) > 0 && s.Signal != "":
		return errors.New("exec and signal: use one of them")
	case (s.Signal == "") != (s.PIDFile == ""):
		return errors.New("signal and pid_file go together")
	case s.Signal != "" && signals[s.Signal] == 0:
		return fmt.Errorf("signal: %.20q is none of %s", s.Signal, strings.Join(slices.Sorted(maps.Keys(signals)), ", "))
	case len(s.Exec) == 0:
		return nil
	case !filepath.IsAbs(s.Exec[0]):
		return errors.New("exec: begin with the absolute path of a program; no shell splits words")
	}
	if _, err := exec.LookPath(s.Exec[0]); err != nil {
		return fmt.Errorf("exec: %s cannot be run (%w)", s.Exec[0], reason(errors.Unwrap(err)))
	}
	return nil
}

// notify tells the application that the file was replaced. At the first time since the start, an
// application that does not run yet needs no signal.
func (s Spec) notify(ctx context.Context, first bool) error {
	switch {
	case len(s.Exec) > 0:
		return run(ctx, s.Exec, execTimeout)
	case s.Signal != "":
		err := send(s.PIDFile, signals[s.Signal])
		if first && errors.Is(err, errNoProcess) {
			return nil
		}
		return err
	}
	return nil
}

// run runs a command to its end. Its output is discarded, because it may show the secret.
func run(ctx context.Context, argv []string, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...) //nolint:gosec // the operator's command
	cmd.Env, cmd.Dir = []string{execPath}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with its children
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case limited.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("exec: %s did not end within %v and was killed", argv[0], timeout)
	}
	return fmt.Errorf("exec: %s: %w", argv[0], err)
}

var errNoProcess = errors.New("there is no such process")

var decimal = regexp.MustCompile(`^[1-9][0-9]{0,9}$`)

// send sends a signal to the process whose number is in the file.
func send(path string, signal syscall.Signal) error {
	text, err := readFile(path, maxPID)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pid_file: %s does not exist: %w", path, errNoProcess)
	}
	if err != nil {
		return fmt.Errorf("pid_file: %w", err)
	}
	number := strings.TrimSuffix(string(text), "\n")
	pid, err := strconv.ParseInt(number, 10, 32)
	if err != nil || !decimal.MatchString(number) || pid <= 1 || int(pid) == os.Getpid() {
		return fmt.Errorf("pid_file: %s does not hold the number of another process, greater than 1", path)
	}
	process, err := os.FindProcess(int(pid))
	if err == nil {
		err = process.Signal(signal) // through a pidfd: no later process of this number gets it
	}
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("pid_file: process %d of %s: %w", pid, path, errNoProcess)
	}
	if err != nil {
		return fmt.Errorf("pid_file: sending %s to process %d: %w", signal, pid, err)
	}
	return nil
}

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// The exit codes of a shell (POSIX.1-2024, Shell Command Language, section 2.8.2).
const (
	notExecutable = 126
	notFound      = 127
)

// StartError is the error of a program that cannot be started.
type StartError struct {
	// Code is the exit code that a shell has for it.
	Code  int
	cause error
}

func (e *StartError) Error() string { return e.cause.Error() }
func (e *StartError) Unwrap() error { return e.cause }

// Find returns the path of the program that a shell would start. A name without a slash is
// searched for in the directories of PATH.
func Find(name string) (path string, err error) {
	path, err = exec.LookPath(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "", &StartError{notFound, fmt.Errorf("the program %q was not found", name)}
	case errors.Is(err, exec.ErrDot):
		return "", &StartError{notFound, fmt.Errorf("the program %q is in the current directory; write ./%s", name, name)}
	}
	return "", &StartError{notExecutable, fmt.Errorf("the program %q cannot be executed", name)}
}

// Start starts the program. It gets a process group of its own, so that a signal to the group of
// this process reaches it once, unless both are in the foreground of a terminal.
func (s *Supervisor) Start(p Program) error {
	files := []uintptr{0, 1, 2}
	for _, f := range p.Files {
		files = append(files, f.Fd())
	}
	pid, err := syscall.ForkExec(p.Path, p.Args, &syscall.ProcAttr{ //nolint:gosec // the operator's command
		Env: p.Env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: !s.terminal},
	})
	switch {
	case err == nil:
		s.pid = pid
		return nil
	case errors.Is(err, fs.ErrNotExist): // of a script, the interpreter
		return &StartError{notFound, fmt.Errorf("starting %q: %w", p.Path, err)}
	case errors.Is(err, syscall.E2BIG):
		return &StartError{notExecutable, fmt.Errorf("starting %q: the environment and the arguments are too long; hand the secret over in a file", p.Path)}
	}
	return &StartError{notExecutable, fmt.Errorf("starting %q: %w", p.Path, err)}
}

// inForeground reports whether this process is in the foreground of the terminal that is its
// standard input.
func inForeground() bool {
	group, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// keys are the signals that a terminal sends to its whole foreground, for its keys and its size.
var keys = []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGTSTP}

// forwarded returns the signals to pass on. Not among them are those of faults of this process,
// those of its children, and SIGURG, which the Go runtime uses.
func forwarded() []syscall.Signal {
	all := append(slices.Clone(keys),
		syscall.SIGHUP, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGCONT,
		syscall.SIGIO, syscall.SIGPWR)
	const firstRealTime, lastRealTime = 34, 64 // signal(7); the C library keeps 32 and 33
	for sig := syscall.Signal(firstRealTime); sig <= lastRealTime; sig++ {
		all = append(all, sig)
	}
	return all
}

// ends reports whether the signal asks a program to end.
func ends(sig syscall.Signal) bool {
	return sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT
}

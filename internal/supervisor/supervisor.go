// Package supervisor runs one program as its parent: it passes signals on, starts the program
// again with other secrets, and reports how it ended.
//
//	s := supervisor.New(supervisor.Config{Grace: 10 * time.Second, Logger: log})
//	defer s.Close()
//	if err := s.Start(program); err != nil { … } // a *StartError has the exit code of a shell
//	code := s.Wait(changes)                      // the program's exit code, or 128 and its signal
//
// It works as the first process of a container, where it also collects processes that lost their
// parent. From New on, signals do not end this process. The package starts no other processes,
// and a process has one Supervisor: it collects every child.
package supervisor

import (
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// Program is a program to start.
type Program struct {
	// Path of the file to execute.
	Path string
	// Args are the arguments; the first is the program's name.
	Args []string
	// Env has entries NAME=value. Nothing keeps it after the start.
	Env []string
	// Files become the descriptors 3, 4 and so on. The caller closes them.
	Files []*os.File
}

// Change is what a new version of a secret means for the program.
type Change struct {
	// Signal is sent; 0 sends none.
	Signal syscall.Signal
	// Again starts the program again, after the running one was stopped; nil leaves it running.
	Again Again
}

// Drop drops a change that is not applied.
func (c Change) Drop() {
	if c.Again != nil {
		c.Again.Drop()
	}
}

// Again is a start that has been prepared. One of its methods is called, once.
type Again interface {
	Start() error
	Drop()
}

// Config of a Supervisor.
type Config struct {
	// Grace is the time from SIGTERM to SIGKILL when the program is stopped for another start.
	Grace time.Duration
	// Logger gets a line for each start after the first; nil means none.
	Logger *slog.Logger
}

// Supervisor runs a program.
type Supervisor struct {
	config   Config
	terminal bool // the program shares the terminal, which sends it signals itself
	signals  chan os.Signal
	children chan os.Signal

	pid      int // 0 if no program runs
	code     int // of the program that ended last
	ending   bool
	next     Again // for when this program ended; nil if it is not being stopped
	deadline <-chan time.Time
}

// New catches signals for a program that is not started yet.
func New(c Config) *Supervisor {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Supervisor{config: c, terminal: inForeground(), signals: make(chan os.Signal, 64), children: make(chan os.Signal, 1)}
	signal.Notify(s.children, syscall.SIGCHLD)
	for _, sig := range forwarded() {
		isStop := sig == syscall.SIGTSTP && s.terminal // stops both
		if !isStop && !signal.Ignored(sig) {           // nohup(1): the program inherits what is ignored
			signal.Notify(s.signals, sig)
		}
	}
	return s
}

// Close stops catching signals.
func (s *Supervisor) Close() {
	signal.Stop(s.signals)
	signal.Stop(s.children)
}

// Wait returns the exit code of the program, or 128 and the number of the signal that ended it.
// It applies the changes until then. A nil channel has none.
func (s *Supervisor) Wait(changes <-chan Change) (int, error) {
	defer s.drop()
	for {
		select {
		case <-s.children:
			if !s.reap() {
				continue
			}
			if s.next == nil || s.ending {
				return s.code, nil
			}
			if err := s.again(); err != nil {
				return 0, err
			}
		case got := <-s.signals:
			s.forward(got)
		case change := <-changes:
			s.apply(change)
		case <-s.deadline:
			s.config.Logger.Warn("the program did not stop in time and is killed", "grace", s.config.Grace.String())
			s.send(syscall.SIGKILL)
		}
	}
}

func (s *Supervisor) again() error {
	next := s.next
	s.next, s.deadline = nil, nil
	return next.Start()
}

func (s *Supervisor) drop() {
	if s.next != nil {
		s.next.Drop()
		s.next = nil
	}
}

func (s *Supervisor) apply(c Change) {
	if c.Signal != 0 {
		s.send(c.Signal)
	}
	switch {
	case c.Again == nil:
		return
	case s.ending:
		c.Again.Drop()
		return
	case s.next == nil: // otherwise the program is stopping already
		s.send(syscall.SIGTERM)
		s.deadline = time.After(s.config.Grace)
	}
	s.drop()
	s.next = c.Again
}

// forward passes a signal on. A program that was told to end is not started again. A terminal
// tells the program itself.
func (s *Supervisor) forward(got os.Signal) {
	sig, ok := got.(syscall.Signal)
	if !ok {
		return
	}
	s.ending = s.ending || ends(sig)
	if !s.terminal || !slices.Contains(keys, sig) {
		s.send(sig)
	}
}

// send signals the program. Its number cannot be another process's: only reap, in the same
// goroutine, frees it.
func (s *Supervisor) send(sig syscall.Signal) {
	if s.pid > 0 {
		_ = syscall.Kill(s.pid, sig) // it may have ended, which reap finds
	}
}

// reap collects all children that ended, and reports whether the program is one of them.
func (s *Supervisor) reap() (ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || pid <= 0:
			return ended
		case pid == s.pid:
			s.pid, s.code, ended = 0, codeOf(status), true
		}
	}
}

func codeOf(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// Package crash turns a panic into an error that may be logged: a panic's value
// may quote the secret that was being worked on, and the stack that
// runtime/debug prints has the words of arguments in it.
//
//	err := crash.Guard(func() error { … })
//	wait := crash.Beside(func() error { … })
//	err := wait()
package crash

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
)

const maxFrames = 32

// Error is a panic as an error.
type Error struct{ text, stack string }

// Guard does the work and turns its panic into an error.
func Guard(work func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = from(value)
		}
	}()
	return work()
}

// Beside begins the work in a goroutine of its own. The function that it returns
// waits for the end and returns the error, or the panic as one. It may be called again.
func Beside(work func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- Guard(work) }()
	return sync.OnceValue(func() error { return <-done })
}

// from makes an error of a recovered value, within the deferred function that
// recovered it. The error shows the value only if the runtime itself wrote it.
func from(value any) *Error {
	text := fmt.Sprintf("panic with a %T", value)
	if err, ok := value.(runtime.Error); ok {
		text = "panic: " + err.Error()
	}
	return &Error{text, stack()}
}

// Error says what kind of panic it was.
func (e *Error) Error() string { return e.text }

// Stack lists functions and lines, the innermost first, without arguments.
func (e *Error) Stack() string { return e.stack }

func stack() string {
	callers := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	var text strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&text, "%s %s:%d\n", frame.Function, frame.File, frame.Line)
		if !more {
			return text.String()
		}
	}
}

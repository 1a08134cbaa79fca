package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"skr/internal/config"
	"skr/internal/refusal"
)

// Exit codes show a script which party refused.
const (
	ExitOK            = 0 // done
	ExitInternal      = 1 // a bug, or an error that no other code fits
	ExitConfiguration = 2 // wrong flags, environment, files, or a request of the wrong form
	exitRefused       = 3 // refused by the configuration, the authority or the vault; do not retry
	exitUnreachable   = 4 // a service is unreachable, failing, throttling or too slow; retry later
	exitNoEvidence    = 5 // this machine cannot prove what it is
	ExitUntrusted     = 6 // an answer of a service is malformed or not authentic
)

var exitCodes = []struct {
	target error
	code   int
}{
	{refusal.BadRequest, ExitConfiguration},
	{refusal.EndpointNotAllowed, exitRefused},
	{refusal.CallerNotAllowed, exitRefused},
	{refusal.NoEvidence, exitNoEvidence},
	{refusal.NoEndorsements, exitNoEvidence},
	{refusal.AttestationRejected, exitRefused},
	{refusal.ReleaseRejected, exitRefused},
	{refusal.OperationRejected, exitRefused},
	{refusal.ManagementRejected, exitRefused},
	{refusal.KeyNotFound, exitRefused},
	{refusal.Throttled, exitUnreachable},
	{refusal.Unavailable, exitUnreachable},
	{refusal.Untrusted, ExitUntrusted},
	{refusal.Timeout, exitUnreachable},
	{context.DeadlineExceeded, exitUnreachable},
}

// ExitCode returns the exit code for an error.
func ExitCode(err error) int {
	if status, ok := errors.AsType[*statusError](err); ok {
		return status.code
	}
	if _, ok := errors.AsType[*configError](err); ok {
		return ExitConfiguration
	}
	if _, ok := errors.AsType[*config.SettingError](err); ok {
		return ExitConfiguration
	}
	for _, row := range exitCodes {
		if errors.Is(err, row.target) {
			return row.code
		}
	}
	return ExitInternal
}

// Report prints the error in one line and returns the exit code.
func Report(program string, out io.Writer, err error) int {
	if err == nil {
		return ExitOK
	}
	if status, ok := errors.AsType[*statusError](err); ok && status.cause == nil {
		return status.code
	}
	_, _ = fmt.Fprintln(out, program+":", err) // an error that cannot be printed is lost
	return ExitCode(err)
}

// configError is an error that the user of a command must fix: a wrong argument or flag, or a wrong
// file that one of them names.
type configError struct{ cause error }

func (e *configError) Error() string { return e.cause.Error() }
func (e *configError) Unwrap() error { return e.cause }

// BadUsage returns the cause as a configError.
func BadUsage(cause error) error { return &configError{cause} }

// statusError ends the program with an exit code that is not this program's own.
type statusError struct {
	code  int
	cause error
}

func (e *statusError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.cause.Error()
}
func (e *statusError) Unwrap() error { return e.cause }

// Status returns an error that ends the program with the exit code. Without a cause nothing is
// printed, and the code 0 is no error.
func Status(code int, cause error) error {
	if code == ExitOK && cause == nil {
		return nil
	}
	return &statusError{code, cause}
}

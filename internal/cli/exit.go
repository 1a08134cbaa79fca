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
	ExitOK            = 0
	ExitInternal      = 1
	ExitConfiguration = 2 // flags, environment, files or the form of the request
	exitRefused       = 3 // by the allow-list, the authority or the vault; do not retry
	exitUnreachable   = 4 // a service is unreachable, failing, throttling or too slow; retry
	exitNoEvidence    = 5 // this machine cannot prove what it is
	ExitUntrusted     = 6 // a service's answer is malformed or not authentic
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

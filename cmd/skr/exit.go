package main

import (
	"context"
	"errors"

	"skr/internal/refusal"
)

// Exit codes tell a script who refused.
const (
	exitOK            = 0
	exitInternal      = 1
	exitConfiguration = 2 // flags, environment, files, or the request's form
	exitRefused       = 3 // by our allow-list, the authority or the vault; trying again is useless
	exitUnreachable   = 4 // a service is unreachable, failing, throttling or too slow; try again
	exitNoEvidence    = 5 // this machine cannot prove what it is
	exitUntrusted     = 6 // a service's answer is malformed or not authentic
)

var exitCodes = []struct {
	target error
	code   int
}{
	{refusal.BadRequest, exitConfiguration},
	{refusal.EndpointNotAllowed, exitRefused},
	{refusal.CallerNotAllowed, exitRefused},
	{refusal.NoEvidence, exitNoEvidence},
	{refusal.NoEndorsements, exitNoEvidence},
	{refusal.AttestationRejected, exitRefused},
	{refusal.ReleaseRejected, exitRefused},
	{refusal.ManagementRejected, exitRefused},
	{refusal.KeyNotFound, exitRefused},
	{refusal.Throttled, exitUnreachable},
	{refusal.Unavailable, exitUnreachable},
	{refusal.Untrusted, exitUntrusted},
	{refusal.Timeout, exitUnreachable},
	{context.DeadlineExceeded, exitUnreachable},
}

func exitCode(err error) int {
	if _, ok := errors.AsType[*configError](err); ok {
		return exitConfiguration
	}
	if _, ok := errors.AsType[*settingError](err); ok {
		return exitConfiguration
	}
	for _, row := range exitCodes {
		if errors.Is(err, row.target) {
			return row.code
		}
	}
	return exitInternal
}

package maa

import (
	"errors"

	"skr/attest"
	"skr/internal/refusal"
)

// The errors of [Client], for errors.Is.
var (
	// ErrRuntimeData: the authority cannot carry the runtime data.
	ErrRuntimeData error = refusal.BadRequest
	// ErrRejected: the authority refused the evidence.
	ErrRejected error = refusal.AttestationRejected
	// ErrUntrusted: an answer of the authority is malformed or not authentic.
	ErrUntrusted error = refusal.Untrusted
	// ErrThrottled: the authority asks for a later attempt.
	ErrThrottled error = refusal.Throttled
	// ErrUnavailable: the authority is unreachable or failing.
	ErrUnavailable error = refusal.Unavailable
)

// The errors of [Token.Verify] and its steps, for errors.Is.
var (
	// ErrSignature: none of the keys has signed the token.
	ErrSignature = errors.New("the token's signature does not verify")
	// ErrIssuer: another authority issued the token.
	ErrIssuer = errors.New("the token is of another authority")
	// ErrTimes: the token is not valid at that time.
	ErrTimes = errors.New("the token is not valid at that time")
)

// checkError says what is wrong with a token, and matches the sentinel of the check.
type checkError struct{ check, err error }

func (f checkError) Error() string   { return f.err.Error() }
func (f checkError) Unwrap() []error { return []error{f.check, f.err} }

// failed returns nil if err is nil.
func failed(check, err error) error {
	if err == nil {
		return nil
	}
	return checkError{check, err}
}

// untrusted refuses an answer of the authority that is malformed or not authentic.
func untrusted(authority attest.Authority, reason string, cause error) error {
	return refusal.Because(refusal.Untrusted, "attestation service "+authority.String()+": "+reason, cause)
}

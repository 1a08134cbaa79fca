// Package refusal names who refused, so that every layer reports a failure in
// the same few words and one table maps them to status codes.
//
// A [Kind] is a sentinel for errors.Is. [Because] wraps a cause under a kind
// together with one sentence for the caller. The sentence must hold no secret
// and says what to do; the cause goes only to the log.
//
// The package holds no HTTP: internal/sidecar/server owns the table of status codes.
package refusal

import (
	"errors"
	"fmt"
	"time"
)

// Kind is a sentinel error that says who refused.
type Kind struct{ text string }

func (k *Kind) Error() string { return k.text }

// The kinds, in the order of a release.
var (
	// BadRequest: the caller's input is malformed.
	BadRequest = &Kind{"bad request"}
	// EndpointNotAllowed: our configuration does not allow the named host or key.
	EndpointNotAllowed = &Kind{"endpoint not allowed"}
	// CallerNotAllowed: our configuration does not allow this caller.
	CallerNotAllowed = &Kind{"caller not allowed"}
	// NoEvidence: the Attester has no evidence: no device, or firmware refused.
	NoEvidence = &Kind{"no evidence"}
	// NoEndorsements: no certificate chain matches the report's chip and TCB.
	NoEndorsements = &Kind{"no endorsements"}
	// AttestationRejected: the Verifier (MAA) said no.
	AttestationRejected = &Kind{"attestation rejected"}
	// ReleaseRejected: the Relying Party (vault, or its identity provider) said no.
	ReleaseRejected = &Kind{"release rejected"}
	// OperationRejected: the vault refused an operation with a key that stays there.
	OperationRejected = &Kind{"operation rejected"}
	// ManagementRejected: the vault, or its identity provider, refused to make or read a
	// key. The release path has no such refusal.
	ManagementRejected = &Kind{"key management rejected"}
	// KeyNotFound: the Relying Party has no such key or version.
	KeyNotFound = &Kind{"key not found"}
	// Throttled: a service asked us to slow down, also after retries.
	Throttled = &Kind{"throttled"}
	// Unavailable: a service is unreachable or failing, also after retries.
	Unavailable = &Kind{"unavailable"}
	// Untrusted: a service's answer is malformed or not authentic.
	Untrusted = &Kind{"untrusted response"}
	// Timeout: the request's deadline passed.
	Timeout = &Kind{"timeout"}
)

// Error is a refusal with its reason and cause.
type Error struct {
	// Kind says who refused.
	Kind *Kind
	// Reason is one sentence for the caller: who refused and, behind its last
	// semicolon, what to do: see [Advice]. It holds no secret and no internal address.
	Reason string
	// RetryAfter is what the throttling service asked for; zero if it did not.
	RetryAfter time.Duration
	// Err is the cause, for the log. It may be nil.
	Err error
}

// Because makes a refusal of kind with the caller's reason and the log's cause.
// A cause that already is a refusal is returned as it is: the party nearest to
// the failure knows best who refused.
func Because(kind *Kind, reason string, cause error) error {
	if _, ok := errors.AsType[*Error](cause); ok {
		return cause
	}
	return &Error{Kind: kind, Reason: reason, Err: cause}
}

// Newf makes a refusal of kind without a cause.
func Newf(kind *Kind, format string, args ...any) error {
	return &Error{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// Error returns the refusal with its cause, for the log.
func (e *Error) Error() string {
	if e.Err == nil || e.Err.Error() == e.Reason {
		return e.Public()
	}
	return e.Public() + ": " + e.Err.Error()
}

// Public returns the text that a caller may see.
func (e *Error) Public() string {
	if e.Reason == "" {
		return e.Kind.text
	}
	return e.Kind.text + ": " + e.Reason
}

// Unwrap makes errors.Is work for the kind and for the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

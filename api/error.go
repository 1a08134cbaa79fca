package api

import (
	"net/http"
	"strconv"
	"time"
)

// Code says who refused. It is an error, for errors.Is:
//
//	if errors.Is(err, api.KeyNotFound) { … }
type Code string //nolint:errname // a value of the wire first, an error for errors.Is

// The codes, in the order of a release.
//
//nolint:errname // the words of the wire
const (
	// BadRequest: the request is malformed, or no such route or method exists.
	BadRequest Code = "bad_request"
	// EndpointNotAllowed: skr's configuration does not allow the authority, vault or key.
	EndpointNotAllowed Code = "endpoint_not_allowed"
	// CallerNotAllowed: skr's configuration does not allow this caller.
	CallerNotAllowed Code = "caller_not_allowed"
	// NoEvidence: this machine has no evidence: there is no device, or its firmware refused.
	NoEvidence Code = "no_evidence"
	// NoEndorsements: no certificate chain was found for this machine's TCB.
	NoEndorsements Code = "no_endorsements"
	// AttestationRejected: the authority refused.
	AttestationRejected Code = "attestation_rejected"
	// ReleaseRejected: the vault, or its identity provider, refused.
	ReleaseRejected Code = "release_rejected"
	// OperationRejected: the vault refused an operation with a key that stays there.
	OperationRejected Code = "operation_rejected"
	// KeyNotFound: the vault has no such key or version.
	KeyNotFound Code = "key_not_found"
	// Throttled: skr or a service receives too many requests; see Retry-After.
	Throttled Code = "throttled"
	// Unavailable: a service is unreachable or failing, also after retries.
	Unavailable Code = "unavailable"
	// UntrustedResponse: a service's answer is malformed or not authentic.
	UntrustedResponse Code = "untrusted_response"
	// Timeout: the request's deadline passed.
	Timeout Code = "timeout"
	// Internal: a bug in skr.
	Internal Code = "internal"
)

// statuses maps codes to HTTP statuses.
var statuses = []struct {
	code   Code
	status int
}{
	{BadRequest, http.StatusBadRequest},
	{EndpointNotAllowed, http.StatusForbidden},
	{CallerNotAllowed, http.StatusForbidden},
	{NoEvidence, http.StatusInternalServerError},
	{NoEndorsements, http.StatusBadGateway},
	{AttestationRejected, http.StatusForbidden},
	{ReleaseRejected, http.StatusForbidden},
	{OperationRejected, http.StatusForbidden},
	{KeyNotFound, http.StatusNotFound},
	{Throttled, http.StatusServiceUnavailable},
	{Unavailable, http.StatusServiceUnavailable},
	{UntrustedResponse, http.StatusBadGateway},
	{Timeout, http.StatusGatewayTimeout},
	{Internal, http.StatusInternalServerError},
}

// Codes returns every code.
func Codes() []Code {
	codes := make([]Code, 0, len(statuses))
	for _, row := range statuses {
		codes = append(codes, row.code)
	}
	return codes
}

// HTTPStatus returns the status of answers with the code, and 500 for an unknown code.
// [BadRequest] also has the status 404 for an unknown route and 405 for a wrong method.
func (c Code) HTTPStatus() int {
	for _, row := range statuses {
		if row.code == c {
			return row.status
		}
	}
	return http.StatusInternalServerError
}

// Error makes a Code a target of errors.Is.
func (c Code) Error() string { return string(c) }

// Error is the body of every answer whose status is not 200.
type Error struct {
	// Message is one sentence: who refused and what to do.
	Message string `json:"error"`
	// Code is "" if something other than skr answered.
	Code Code `json:"code"`
	// RequestID identifies the request in skr's log. The header X-Request-Id has it too.
	RequestID string `json:"request_id"`
	// Reason lists the conditions of the key's release policy that this machine does
	// not meet. Only [ReleaseRejected] has it, and only if skr knows them.
	Reason []Reason `json:"reason,omitempty"`

	// Status is the HTTP status. [Client] sets it.
	Status int `json:"-"`
	// RetryAfter is the wait that the answer asks for; 0 means none. [Client] sets it.
	RetryAfter time.Duration `json:"-"`
}

// Reason is a condition of a release policy that is not met.
type Reason struct {
	// Claim is the name of the attestation token's claim, with dots for nesting.
	Claim string `json:"claim"`
	// Operator is one of equals, notEquals, less, lessOrEquals, greater,
	// greaterOrEquals and exists.
	Operator string `json:"operator"`
	// Expected is the policy's value; "(withheld)" if it may be a secret.
	Expected string `json:"expected"`
	// Actual is the token's value; "" if Absent, "(withheld)" if it may be a secret.
	Actual string `json:"actual"`
	// Absent means that the token has no such claim.
	Absent bool `json:"absent,omitempty"`
}

var _ error = (*Error)(nil)

// Error returns the message with its code and request.
func (e *Error) Error() string {
	text := "skr: " + e.Message
	if e.Code == "" {
		return text + " (status " + strconv.Itoa(e.Status) + ")"
	}
	if e.RequestID == "" {
		return text + " (" + string(e.Code) + ")"
	}
	return text + " (" + string(e.Code) + ", request " + e.RequestID + ")"
}

// Unwrap returns the code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

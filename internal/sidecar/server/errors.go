package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"skr/api"
	"skr/internal/refusal"
	"skr/keyrelease"
)

// codes maps refusals to the codes of package api, which has the status of each. Every
// other error is [api.Internal].
var codes = []struct {
	kind *refusal.Kind
	code api.Code
}{
	{refusal.BadRequest, api.BadRequest},
	{refusal.EndpointNotAllowed, api.EndpointNotAllowed},
	{refusal.CallerNotAllowed, api.CallerNotAllowed},
	{refusal.NoEvidence, api.NoEvidence},
	{refusal.NoEndorsements, api.NoEndorsements},
	{refusal.AttestationRejected, api.AttestationRejected},
	{refusal.ReleaseRejected, api.ReleaseRejected},
	{refusal.OperationRejected, api.OperationRejected},
	{refusal.KeyNotFound, api.KeyNotFound},
	{refusal.Throttled, api.Throttled},
	{refusal.Unavailable, api.Unavailable},
	{refusal.Untrusted, api.UntrustedResponse},
	{refusal.Timeout, api.Timeout},
}

// errNoRoute has a status of its own. The server never answers 415: what is not JSON is
// bad_request, whatever its content type, and Host and Origin keep web pages out.
var errNoRoute = refusal.Newf(refusal.BadRequest, "there is no such route")

// methodError has a status of its own and names the right method.
type methodError struct{ allow string }

func (e *methodError) Error() string { return "bad request: use " + e.allow }

// errGone means that the caller did not wait for the answer.
var errGone = errors.New("the caller is gone")

// gone returns errGone, with the error of the pipeline if there is one.
func gone(err error) error {
	if err == nil {
		return errGone
	}
	return fmt.Errorf("%w: %w", errGone, err)
}

// CodeOK and CodeGone are codes of the log and the metrics. No answer has them.
const (
	CodeOK   = "ok"
	CodeGone = "gone"
)

// statusGone is the status that nginx logs for a caller that did not wait. It is never
// sent.
const statusGone = 499

// isTooLarge reports whether a request is refused for its size, which has its own code in
// gRPC.
func isTooLarge(err error) bool {
	_, is := errors.AsType[*http.MaxBytesError](err)
	return is
}

// reply is what the caller is told of an error.
type reply struct {
	status     int
	code       api.Code
	text       string
	reason     []api.Reason
	retryAfter time.Duration
	allow      string // of a wrong method
}

// classify returns the reply to an error. If the error has a refusal, the refusal
// decides: it may wrap the deadline of one attempt, which is not the request's.
func classify(err error) reply {
	if errors.Is(err, errGone) {
		return reply{status: statusGone, code: CodeGone}
	}
	if wrong, ok := errors.AsType[*methodError](err); ok {
		return reply{status: http.StatusMethodNotAllowed, code: api.BadRequest, text: wrong.Error(), allow: wrong.allow}
	}
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		v := replyTo(refused)
		v.reason = reasons(err)
		if errors.Is(err, errNoRoute) {
			v.status = http.StatusNotFound
		}
		return v
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return replyTo(&refusal.Error{Kind: refusal.Timeout, Reason: "the deadline of the request passed"})
	}
	return reply{status: api.Internal.HTTPStatus(), code: api.Internal, text: "internal error, see the log of skr"}
}

// replyTo returns the reply to a refusal.
func replyTo(refused *refusal.Error) reply {
	code := codeOf(refused.Kind)
	v := reply{status: code.HTTPStatus(), code: code, text: refused.Public(), retryAfter: refused.RetryAfter}
	if code == api.Throttled {
		v.retryAfter = max(v.retryAfter, time.Second) // the header is always present, in whole seconds
	}
	return v
}

// reasons returns the conditions of the key's release policy that are not met, as far as the
// error knows them.
func reasons(err error) (all []api.Reason) {
	refused, ok := errors.AsType[*keyrelease.UnmetError](err)
	if !ok {
		return nil
	}
	for _, u := range refused.Conditions {
		all = append(all, api.Reason{Claim: u.Claim, Operator: string(u.Operator), Expected: u.Value.Text, Actual: u.Actual, Absent: u.Absent})
	}
	return all
}

// CodeOf returns the code for the error of a request.
func CodeOf(err error) string {
	switch {
	case err == nil:
		return CodeOK
	case errors.Is(err, context.Canceled):
		return CodeGone
	}
	return string(classify(err).code)
}

func codeOf(kind *refusal.Kind) api.Code {
	for _, row := range codes {
		if row.kind == kind {
			return row.code
		}
	}
	return api.Internal
}

package server

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"skr/api"
)

// grpcCodes maps codes to those of gRPC
// (grpc.github.io/grpc/core/md_doc_statuscodes.html).
var grpcCodes = map[api.Code]grpccodes.Code{
	api.BadRequest:          grpccodes.InvalidArgument,
	api.EndpointNotAllowed:  grpccodes.PermissionDenied,
	api.CallerNotAllowed:    grpccodes.PermissionDenied,
	api.NoEvidence:          grpccodes.FailedPrecondition,
	api.NoEndorsements:      grpccodes.FailedPrecondition,
	api.AttestationRejected: grpccodes.PermissionDenied,
	api.ReleaseRejected:     grpccodes.PermissionDenied,
	api.OperationRejected:   grpccodes.PermissionDenied,
	api.KeyNotFound:         grpccodes.NotFound,
	api.Throttled:           grpccodes.ResourceExhausted,
	api.Unavailable:         grpccodes.Unavailable,
	api.UntrustedResponse:   grpccodes.DataLoss,
	api.Timeout:             grpccodes.DeadlineExceeded,
	api.Internal:            grpccodes.Internal,
	CodeGone:                grpccodes.Canceled,
}

// GRPCCode returns the status code of gRPC for an API code.
func GRPCCode(code api.Code) grpccodes.Code { return grpcCodes[code] }

// StatusOf returns the status of gRPC for the error of a request, with the details of
// statusOf.
func StatusOf(err error, id string) error {
	if errors.Is(err, context.Canceled) {
		err = gone(err)
	}
	return statusOf(classify(err), id)
}

// statusOf returns the status of a reply with its details: ErrorInfo with the API's code and
// the request's id, RetryInfo if waiting helps, and a PreconditionFailure for the conditions
// of a release policy that are not met.
func statusOf(v reply, id string) error {
	s := status.New(grpcCodes[v.code], v.text)
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(&errdetails.ErrorInfo{
		Reason: string(v.code), Domain: "skr", Metadata: map[string]string{"request_id": id},
	})}
	if v.retryAfter > 0 {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(min(v.retryAfter, maxRetryAfter))}))
	}
	if len(v.reason) > 0 {
		details = append(details, protoadapt.MessageV1Of(unmet(v.reason)))
	}
	if detailed, err := s.WithDetails(details...); err == nil {
		s = detailed
	}
	return s.Err()
}

func unmet(reasons []api.Reason) *errdetails.PreconditionFailure {
	failure := &errdetails.PreconditionFailure{}
	for _, r := range reasons {
		actual := r.Actual
		if r.Absent {
			actual = "(absent)"
		}
		failure.Violations = append(failure.Violations, &errdetails.PreconditionFailure_Violation{
			Type: "release_policy", Subject: r.Claim, Description: r.Operator + " " + r.Expected + ", is " + actual,
		})
	}
	return failure
}

// tooLarge returns the status that grpc.Server uses for messages that are too large.
func tooLarge(v reply) error { return status.Error(grpccodes.ResourceExhausted, v.text) }

package server

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"skr/api"
)

// grpcCodes is the table from codes to those of gRPC
// (grpc.github.io/grpc/core/md_doc_statuscodes.html).
var grpcCodes = map[api.Code]grpccodes.Code{
	api.BadRequest:          grpccodes.InvalidArgument,
	api.EndpointNotAllowed:  grpccodes.PermissionDenied,
	api.CallerNotAllowed:    grpccodes.PermissionDenied,
	api.NoEvidence:          grpccodes.FailedPrecondition,
	api.NoEndorsements:      grpccodes.FailedPrecondition,
	api.AttestationRejected: grpccodes.PermissionDenied,
	api.ReleaseRejected:     grpccodes.PermissionDenied,
	api.KeyNotFound:         grpccodes.NotFound,
	api.Throttled:           grpccodes.ResourceExhausted,
	api.Unavailable:         grpccodes.Unavailable,
	api.UntrustedResponse:   grpccodes.DataLoss,
	api.Timeout:             grpccodes.DeadlineExceeded,
	api.Internal:            grpccodes.Internal,
	CodeGone:                grpccodes.Canceled,
}

// GRPCCode is the status code of gRPC that an API code comes with.
func GRPCCode(code api.Code) grpccodes.Code { return grpcCodes[code] }

// statusOf is a reply with its details: ErrorInfo with the API's code and the
// request's id, RetryInfo where waiting helps, and a PreconditionFailure for what
// of a release policy is not met.
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

// tooLarge has the code that grpc.Server has for it.
func tooLarge(v reply) error { return status.Error(grpccodes.ResourceExhausted, v.text) }

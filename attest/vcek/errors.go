package vcek

import (
	"errors"

	"skr/internal/refusal"
)

// The errors of [Endorser.Chain], for errors.Is.
var (
	// ErrNoEndorsements: no source has a chain that verifies against the report.
	ErrNoEndorsements error = refusal.NoEndorsements
	// ErrThrottled: the sources ask for a later attempt.
	ErrThrottled error = refusal.Throttled
	// ErrUnavailable: the sources are unreachable or failing.
	ErrUnavailable error = refusal.Unavailable
)

// The errors of [Chain.Verify] and its steps, for errors.Is.
var (
	// ErrNotEndorsed: the certificate is for another chip, TCB or kind of key.
	ErrNotEndorsed = errors.New("comparing certificate and report")
	// ErrUntrustedChain: the certificates do not lead to a trusted root at that time.
	ErrUntrustedChain = errors.New("verifying certificate chain")
	// ErrReportSignature: the certificate's key has not signed the report.
	ErrReportSignature = errors.New("verifying report")
)

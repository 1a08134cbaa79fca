package tdx

import "errors"

// The errors of parsing, for errors.Is.
var (
	// ErrMalformed: the bytes are not a quote or report that this package supports.
	ErrMalformed = errors.New("malformed TDX evidence")
	// ErrCollateralMalformed: the bytes are not collateral in a form that this package reads.
	ErrCollateralMalformed = errors.New("malformed TDX collateral")
)

// The errors of [Quote.Verify] and its steps, for errors.Is. See also [ErrAttributes].
var (
	// ErrQuoteSignature: the attestation key has not signed the quote.
	ErrQuoteSignature = errors.New("verifying quote")
	// ErrQE: the attestation key is not that of Intel's quoting enclave on the platform.
	ErrQE = errors.New("verifying QE report")
	// ErrUntrustedChain: the certificates do not lead to a trusted root at that time.
	ErrUntrustedChain = errors.New("verifying PCK certificate chain")
	// ErrNotBound: REPORTDATA is not what it should be.
	ErrNotBound = errors.New("comparing REPORTDATA")
	// ErrOtherReport: the quote was made from another TD report.
	ErrOtherReport = errors.New("comparing quote and TD report")
	// ErrCollateral: the collateral is not Intel's, or is for another platform.
	ErrCollateral = errors.New("verifying collateral")
	// ErrRevoked: Intel has revoked a certificate or the TCB level.
	ErrRevoked = errors.New("checking revocation")
	// ErrNoCollateral: the policy demands collateral that is missing or out of date.
	ErrNoCollateral = errors.New("checking collateral")
	// ErrTCBStatus: the policy does not have the status of the platform's TCB.
	ErrTCBStatus = errors.New("checking TCB status")
)

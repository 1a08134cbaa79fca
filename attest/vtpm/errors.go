package vtpm

import "errors"

// The errors of what verifies and compares, for errors.Is. Other errors mean that data is
// malformed.
var (
	// ErrSignature: the attestation key has not signed the quote or the certification.
	ErrSignature = errors.New("the attestation key has not signed it")
	// ErrNonce: the quote was made for another nonce.
	ErrNonce = errors.New("comparing the nonce")
	// ErrSelection: the quote is over other PCRs.
	ErrSelection = errors.New("comparing the selection")
	// ErrPCRs: the values are not those that were quoted.
	ErrPCRs = errors.New("comparing PCRs")
	// ErrLog: the events do not lead to the values of the PCRs.
	ErrLog = errors.New("comparing log and PCRs")
	// ErrNotBound: the processor's report is not over the HCL claims.
	ErrNotBound = errors.New("comparing the HCL claims with REPORT_DATA")
	// ErrCertificate: the AK certificate does not lead to a trusted root at that time.
	ErrCertificate = errors.New("verifying the AK certificate")
	// ErrCertifiedKey: the certification is about another key.
	ErrCertifiedKey = errors.New("comparing the certified key")
)

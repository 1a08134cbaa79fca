package uvm

import "errors"

// The errors of [ParseEndorsement], for errors.Is. Other errors mean that the message is
// malformed.
var (
	// ErrIssuer: the certificates do not prove who the issuer is.
	ErrIssuer = errors.New("resolving the issuer")
	// ErrSignature: the issuer has not signed the message.
	ErrSignature = errors.New("verifying the signature")
)

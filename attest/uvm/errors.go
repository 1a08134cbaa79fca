package uvm

import "skr/internal/jose/sign1"

// The errors of [ParseEndorsement], for errors.Is. Other errors mean that the message is
// malformed.
var (
	// ErrIssuer: the certificates do not prove who the issuer is.
	ErrIssuer = sign1.ErrIssuer
	// ErrSignature: the issuer has not signed the message.
	ErrSignature = sign1.ErrSignature
)

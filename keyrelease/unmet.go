package keyrelease

import "skr/releasepolicy"

// UnmetError is a vault's refusal with the conditions of the key's release policy that the
// attestation does not meet.
type UnmetError struct {
	// Err is the refusal.
	Err error
	// Conditions hold no secret: values that may be one are withheld.
	Conditions []releasepolicy.Outcome
}

func (e *UnmetError) Error() string { return e.Err.Error() }

// Unwrap returns the refusal.
func (e *UnmetError) Unwrap() error { return e.Err }

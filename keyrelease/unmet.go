package keyrelease

import "skr/releasepolicy"

// UnmetError is a refusal of a vault, with the conditions of the key's release policy that
// the attestation does not meet.
type UnmetError struct {
	error // a *refusal.Error
	// Conditions hold no secret: values that may be one are withheld.
	Conditions []releasepolicy.Outcome
}

// Unwrap returns the refusal.
func (e *UnmetError) Unwrap() error { return e.error }

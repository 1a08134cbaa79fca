package keyrelease

import (
	"errors"
	"slices"

	"skr/attest"
	"skr/internal/refusal"
	"skr/releasepolicy"
)

// withOmissions adds to a Verifier's refusal which optional parts the evidence lacks. It
// returns any other error unchanged.
func withOmissions(err error, omitted []attest.Omission) error {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != refusal.AttestationRejected || len(omitted) == 0 {
		return err
	}
	extended := *refused
	extended.Reason += attest.Sentences(omitted)
	return &extended
}

// missed returns the omissions that may be the reason why these conditions are not met.
// If the conditions are not known, it returns all of them.
func missed(omitted []attest.Omission, unmet []releasepolicy.Outcome, known bool) []attest.Omission {
	return slices.DeleteFunc(slices.Clone(omitted), func(o attest.Omission) bool {
		return known && !slices.ContainsFunc(unmet, func(u releasepolicy.Outcome) bool { return o.Explains(u.Claim) })
	})
}

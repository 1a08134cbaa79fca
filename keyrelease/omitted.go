package keyrelease

import (
	"errors"
	"slices"

	"skr/attest"
	"skr/internal/refusal"
	"skr/releasepolicy"
)

// toldOmissions adds to a Verifier's refusal what the evidence went without. Another
// error stays as it is.
func toldOmissions(err error, omitted []attest.Omission) error {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != refusal.AttestationRejected || len(omitted) == 0 {
		return err
	}
	told := *refused
	told.Reason += attest.Sentences(omitted)
	return &told
}

// missed are the omissions that may be why these conditions are not met. Where the
// conditions are not known, each may be.
func missed(omitted []attest.Omission, unmet []releasepolicy.Outcome, known bool) []attest.Omission {
	return slices.DeleteFunc(slices.Clone(omitted), func(o attest.Omission) bool {
		return known && !slices.ContainsFunc(unmet, func(u releasepolicy.Outcome) bool { return o.Explains(u.Claim) })
	})
}

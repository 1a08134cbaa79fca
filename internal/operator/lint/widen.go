package lint

import (
	"fmt"
	"slices"

	"skr/internal/check"
	"skr/internal/excerpt"
	"skr/releasepolicy"
)

// The rules for a change of a policy. [Widening] applies them, and Check does not.
const (
	dropsClaim     = "drops-claim"
	unlistedValues = "unlisted-values"
)

// ChangeRules returns the rules about two versions of a policy, in the order of the
// documentation. Their check is nil.
func ChangeRules() []Rule {
	return []Rule{
		{Name: dropsClaim, Severity: Error, Summary: "tokens need not have a claim any more that they needed before"},
		{Name: unlistedValues, Severity: Error, Summary: "values of a claim are admitted that no list names and that were not admitted before"},
	}
}

// Widening returns why after gives the key to more than before does, apart from values and
// authorities that were added: findings of ChangeRules, and the errors of Check that are not
// errors of before too.
func Widening(before, after *releasepolicy.Policy, subject Subject) (found []check.Result) {
	for _, w := range releasepolicy.Widenings(before, after) {
		f := check.Result{Name: unlistedValues, Outcome: Error, Line: w.Authority.Line, Column: w.Authority.Column,
			Found: fmt.Sprintf("%s admits %s %s, which no list names", excerpt.Of(w.Authority.Authority), excerpt.Of(w.Claim), excerpt.Word(w.Value)),
			Fix:   "list the values that you mean, or keep the minimum"}
		if w.Dropped {
			f.Name = dropsClaim
			f.Found = fmt.Sprintf("%s admits tokens without %s, which was needed", excerpt.Of(w.Authority.Authority), excerpt.Of(w.Claim))
			f.Fix = "keep the condition on " + excerpt.Of(w.Claim)
		}
		found = append(found, f)
	}
	known := Check(before.Raw(), subject)
	for _, f := range Check(after.Raw(), subject) {
		present := slices.ContainsFunc(known, func(k check.Result) bool { return k.Name == f.Name })
		if f.Outcome == Error && !present {
			found = append(found, f)
		}
	}
	return found
}

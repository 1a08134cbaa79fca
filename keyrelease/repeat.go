package keyrelease

import (
	"regexp"
	"strings"
	"sync"

	"skr/internal/secmem"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

const (
	// withheld replaces the values of claims that the guest or its owner chooses.
	withheld = "(withheld)"
	// maxRepeated bounds how much of a policy's text is repeated, in bytes.
	maxRepeated = 160
)

// repeat returns a condition as callers and logs may see it. Only the platform's own
// claims are known to hold no secret. Even their expected values come from a vault, which
// has seen the tokens of this request and may repeat them.
func repeat(o releasepolicy.Outcome) releasepolicy.Outcome {
	expected, actual := withheld, withheld
	if claims.Public(o.Claim) {
		expected, actual = repeatValue(o.Value.Text), repeatValue(o.Actual)
	}
	if o.Absent {
		actual = ""
	}
	public := releasepolicy.Condition{Kind: o.Kind, Claim: repeatName(o.Claim), Operator: o.Operator, Value: releasepolicy.Text(expected)}
	return releasepolicy.Outcome{Condition: &public, Actual: actual, Absent: o.Absent}
}

func repeatName(claim string) string {
	if claims.Public(claim) {
		return claim
	}
	return secmem.Excerpt(claim, maxRepeated)
}

// plain matches the long values that a platform claim or an authority may have. No token
// and no key has this form.
var plain = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9a-f]{1,128}|https://[a-z0-9-]{1,40}(\.[a-z0-9-]{1,40})+(:[0-9]{1,5})?)$`)
})

func repeatValue(text string) string {
	alternatives := strings.Split(text, alternative)
	for i, a := range alternatives {
		if !plain().MatchString(a) {
			alternatives[i] = secmem.Excerpt(a, maxRepeated)
		}
	}
	return strings.Join(alternatives, alternative)
}

// alternative separates the names of several authorities.
const alternative = " or "

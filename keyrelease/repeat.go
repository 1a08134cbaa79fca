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
	// withheld stands for the values of a claim that somebody chose freely.
	withheld = "(withheld)"
	// maxRepeated bounds what of a policy's text is repeated, in bytes.
	maxRepeated = 160
)

// repeat is a condition as callers and logs may see it. Only the platform's own
// claims are known to hold no secret. Even of those, what the policy says is the
// word of a vault, which has seen our tokens and may repeat them.
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

// plain are the long values that a platform claim or an authority may have: no
// token and no key is written so.
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

// alternative stands between the names of several authorities.
const alternative = " or "

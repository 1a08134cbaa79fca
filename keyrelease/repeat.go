package keyrelease

import (
	"regexp"
	"strings"
	"sync"

	"skr/hsm"
	"skr/internal/claims"
	"skr/internal/refusal"
	"skr/internal/secmem"
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
func repeat(c hsm.Condition) refusal.Unmet {
	u := refusal.Unmet{Claim: repeatName(c.Claim), Operator: string(c.Operator), Absent: c.Absent}
	switch {
	case claims.Public(c.Claim):
		u.Expected, u.Actual = repeatValue(c.Expected), repeatValue(c.Actual)
	case c.Absent:
		u.Expected = withheld
	default:
		u.Expected, u.Actual = withheld, withheld
	}
	return u
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

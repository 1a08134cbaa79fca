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
	// withheld stands for the values of a claim that somebody chose freely.
	withheld = "(withheld)"
	// maxRepeated bounds what of a policy's text is repeated, in bytes.
	maxRepeated = 160
)

// repeat is a condition as callers and logs may see it. Only the platform's own
// claims are known to hold no secret. Even of those, what the policy says is the
// word of a vault, which has seen our tokens and may repeat them.
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

package verdict

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"skr/attest"
	"skr/attest/maa"
	"skr/hsm"
)

// Trust is what a token is held against.
type Trust struct {
	// Authority that must have issued the token.
	Authority attest.Authority
	// AuthorityErr says why the token's issuer is none that is allowed.
	AuthorityErr error
	// Signature verifies with keys of the authority.
	Signature func(*maa.Token) error
	// Policy is a release policy; nil if none is asked about.
	Policy *hsm.ReleasePolicy
}

// OfToken verifies a token. A signature is asked about only where there is an
// authority whose it may be.
func OfToken(t *maa.Token, trusted Trust, at time.Time) *Verdict {
	v := newVerdict(Token, at)
	if trusted.AuthorityErr != nil {
		v.record(issuer, "", trusted.AuthorityErr)
	} else {
		v.record(issuer, t.Issuer(), t.CheckIssuer(trusted.Authority))
	}
	v.checkSignature(t, trusted)
	v.record(times, "", t.CheckTimes(at))
	v.checkReleasePolicy(t, trusted.Policy)
	return v
}

func (v *Verdict) checkSignature(t *maa.Token, trusted Trust) {
	if trusted.Signature == nil {
		v.record(tokenSignature, "", errors.New("there are no keys of an allowed authority to verify it with"))
		return
	}
	v.record(tokenSignature, "", trusted.Signature(t))
}

func (v *Verdict) checkReleasePolicy(t *maa.Token, policy *hsm.ReleasePolicy) {
	if policy == nil {
		v.skip(releasePolicy, "none was given")
		return
	}
	unmet := policy.Evaluate(t.Issuer(), t.Claims()).Unmet()
	if len(unmet) == 0 {
		v.record(releasePolicy, "met", nil)
		return
	}
	texts := make([]string, len(unmet))
	for i, c := range unmet {
		texts[i] = describe(c)
	}
	v.record(releasePolicy, "", fmt.Errorf("not met: %s", strings.Join(texts, "; ")))
}

// describe says what a condition wanted and what there was.
func describe(c hsm.Condition) string {
	actual := fmt.Sprintf("it is %.200q", c.Actual)
	if c.Absent {
		actual = "the token has none"
	}
	return fmt.Sprintf("%s %s %.200q, but %s", c.Claim, c.Operator, c.Expected, actual)
}

package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/attest"
	"skr/attest/maa"
	"skr/internal/operator/inspect"
	"skr/internal/strictjson"
	"skr/releasepolicy"
)

// Trust is what a token is verified with.
type Trust struct {
	// Authority that must have issued the token.
	Authority attest.Authority
	// AuthorityErr is the reason why the token's issuer is not allowed.
	AuthorityErr error
	// Signature verifies with keys of the authority; nil if there are none.
	Signature func(*maa.Token) error
	// Policy is a release policy that the token must meet; nil for none.
	Policy *releasepolicy.Policy
}

// Question is what a caller asks about a token or a statement. A token has no vault, and a
// statement has no authority and no claims: asking about them fails.
type Question struct {
	At time.Time
	// Parts are all parts of the file.
	Parts                                 []inspect.Part
	Authority, SigningKeys, Policy, Vault bool
}

func (q Question) plan() plan {
	return plan{}.with(q.Authority, issuer).with(q.SigningKeys, tokenSignature).with(q.Policy, releasePolicy).with(q.Vault, vaultHost)
}

// OfToken verifies a token.
func OfToken(t *maa.Token, trusted Trust, q Question) *Verdict {
	v := newVerdict(Token, q.At, slices.Concat(plan{contents, issuer, tokenSignature, times}, q.plan())...)
	v.checkContents(q.Parts, false, inspect.MAAToken)
	if trusted.AuthorityErr != nil {
		v.record(issuer, "", trusted.AuthorityErr)
	} else {
		v.record(issuer, t.Issuer(), t.CheckIssuer(trusted.Authority))
	}
	v.checkSignature(t, trusted)
	v.record(times, "", t.CheckTimes(q.At))
	v.checkReleasePolicy(t, trusted.Policy)
	never := []string{"whether the token is for you (its nonce and runtime data)"}
	if !q.Authority && trusted.Policy == nil {
		never = append(never, "whose authority it is: every customer of Azure can have one that maa_allow allows")
	}
	return v.finish(never...)
}

func (v *Verdict) checkSignature(t *maa.Token, trusted Trust) {
	if trusted.Signature == nil {
		v.record(tokenSignature, "", errors.New("there are no keys of an allowed authority to verify it with"))
		return
	}
	v.record(tokenSignature, "", trusted.Signature(t))
}

func (v *Verdict) checkReleasePolicy(t *maa.Token, policy *releasepolicy.Policy) {
	if policy == nil {
		v.skip(releasePolicy, "none was given, so that no claim was compared")
		return
	}
	claims, err := strictjson.Parse(t.Payload())
	if err != nil {
		v.record(releasePolicy, "", err)
		return
	}
	evaluated := policy.Evaluate(t.Issuer(), claims.Members())
	if evaluated.Met {
		v.record(releasePolicy, "met", nil)
		return
	}
	unmet := evaluated.Unmet()
	texts := make([]string, len(unmet))
	for i, c := range unmet {
		texts[i] = describe(c)
	}
	v.record(releasePolicy, "", fmt.Errorf("not met: %s", strings.Join(texts, "; ")))
}

// describe returns what a condition demands and what the token has.
func describe(c releasepolicy.Outcome) string {
	actual := fmt.Sprintf("it is %.200q", c.Actual)
	if c.Absent {
		actual = "the token has none"
	}
	return fmt.Sprintf("%s %s %.200q, but %s", c.Claim, c.Operator, c.Value.Text, actual)
}

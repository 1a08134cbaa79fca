package tdx

import (
	"fmt"
	"strings"
)

// appraise looks at what collateral there is.
func (q *Quote) appraise(v Verification) (*Result, error) {
	c := v.Collateral.orEmpty()
	if err := c.Authenticate(q, v.Roots); err != nil {
		return nil, err
	}
	result := &Result{}
	for _, name := range c.Missing() {
		result.NotLookedAt = append(result.NotLookedAt, fmt.Sprintf("%s (%s is missing)", purposes[name], name))
	}
	if old := c.OutOfDate(v.Now); old != nil {
		result.NotLookedAt = append(result.NotLookedAt, "what Intel says at this time; out of date: "+strings.Join(old, ", "))
	}
	if v.Policy.Demands() && result.NotLookedAt != nil {
		return nil, fmt.Errorf("%w: the policy demands it: %s", ErrNoCollateral, strings.Join(result.NotLookedAt, "; "))
	}
	if err := c.CheckRevoked(q); err != nil {
		return nil, err
	}
	if c.TCBInfo == nil || c.QEIdentity == nil {
		return result, nil
	}
	level, err := c.Level(q)
	if err == nil {
		err = v.Policy.Check(level)
	}
	if err != nil {
		return nil, err
	}
	result.Level = &level
	return result, nil
}

// purposes says what each part of collateral is for.
var purposes = map[string]string{
	"TCB info":    "the TCB level of the platform",
	"QE identity": "the TCB level of the quoting enclave",
	"PCK CRL":     "whether the PCK certificate is revoked",
	"root CRL":    "whether an authority of Intel's is revoked",
}

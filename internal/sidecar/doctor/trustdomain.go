package doctor

import (
	"strings"

	"skr/attest/tdx"
	"skr/internal/check"
)

// describeQuote says who signed a TDX quote. It has been verified.
func describeQuote(q *tdx.Quote) string {
	return "signed by Intel's quoting enclave on a platform whose certificates lead to the root (" + q.PCK().String() + "), valid until " +
		q.Certificates()[0].NotAfter.UTC().Format("2006-01-02")
}

// lookAtLevel tells the TCB level of a TDX platform, and what was not looked at. What tcb_status
// demands has been checked with the quote.
func (e *examination) lookAtLevel() (check.Result, error) {
	result := e.tdResult
	problem := e.Collateral()
	switch {
	case result.Level == nil && problem == nil:
		return skip("collateral_sources is not set; not looked at: " + strings.Join(result.NotLookedAt, "; "))
	case result.Level == nil:
		return warn("see which of collateral_sources failed; set tcb_status if a machine without collateral must not get keys",
			"%.400s; not looked at: %s", problem, strings.Join(result.NotLookedAt, "; "))
	case result.Level.Status != tdx.UpToDate:
		return warn("move the machine to another host, or accept the level: some healthy machines of Azure have one like this", "the TCB is %s", *result.Level)
	case result.NotLookedAt != nil:
		return warn("see which of collateral_sources failed", "the TCB is %s; not looked at: %s", *result.Level, strings.Join(result.NotLookedAt, "; "))
	}
	return good("the TCB is %s, and nothing is revoked", *result.Level)
}

// lookAtAttributes tells how the TD was configured. A TD under debug has been refused with the
// quote.
func (e *examination) lookAtAttributes() (check.Result, error) {
	return good("TD attributes %s, debugging and migration are not allowed; MRTD is %s", e.tdQuote.Attributes(), e.tdQuote.MRTD())
}

package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/internal/operator/inspect"
)

// Platform is what quotes of TDX are verified with.
type Platform struct {
	// Roots are the trusted roots of Intel's; nil means the built-in one.
	Roots *tdx.Roots
	// Policy says which collateral and which TCB status are demanded.
	Policy tdx.Policy
	// Find returns the collateral of a quote that comes without; nil if there is no source.
	// The collateral need not be authentic.
	Find func(*tdx.Quote) (*tdx.Collateral, error)
}

// tdxPlan is the checks that each quote needs.
var tdxPlan = plan{contents, tdQuote, pckChain, qeReport, tdSignature, tdAttributes}

// tdxKinds are the kinds of parts that the checks of a quote look at.
var tdxKinds = []inspect.Kind{
	inspect.HCLReport, inspect.TDXQuote, inspect.TDXReport, inspect.TDXCollateral, inspect.TCBInfo, inspect.QEIdentity, inspect.CRL,
}

// tdxJudged returns the kinds that the checks of a quote look at, with the certificates that sign
// Intel's own answers.
func tdxJudged(parts []inspect.Part) []inspect.Kind {
	isAnswer := func(p inspect.Part) bool { return p.Kind == inspect.TCBInfo || p.Kind == inspect.QEIdentity }
	if slices.ContainsFunc(parts, isAnswer) {
		return append(slices.Clone(tdxKinds), inspect.Certificates)
	}
	return tdxKinds
}

// neverOfQuotes lists what no rule about quotes looks at.
var neverOfQuotes = []string{"whether MRTD is one that you accept"}

var (
	errNoQuote = errors.New("there is no TDX quote; a TD report alone proves nothing, because only its own processor can check it")
	errAlone   = &aloneError{}
)

// aloneError is the error for collateral without what it is for.
type aloneError struct{}

func (*aloneError) Error() string { return "there is no TDX quote, which collateral is for" }

// Advice returns what to do.
func (*aloneError) Advice() string { return "give the quote, too" }

// ofTDX verifies a quote with what belongs to it.
func ofTDX(g Given, trusted Silicon, at time.Time) *Verdict {
	v := newVerdict(Evidence, at, tdxPlan...)
	v.checkContents(g.Parts, true, tdxJudged(g.Parts)...)
	v.checkTD(&g, trusted, at)
	v.checkTDData(g)
	return v.finish(neverOfQuotes...)
}

// checkTD makes the checks of tdxPlan, and compares the TD report.
func (v *Verdict) checkTD(g *Given, trusted Silicon, at time.Time) {
	v.refuseChain(g)
	q := g.TDQuote
	switch {
	case g.TDQuoteErr != nil && q == nil:
		v.record(tdQuote, "", g.TDQuoteErr)
	case q == nil && g.TDReport == nil && g.TDReportErr == nil:
		v.record(tdQuote, "", errAlone)
	case q == nil:
		v.record(tdQuote, "", errNoQuote)
	default:
		v.record(tdQuote, fmt.Sprintf("of version %d", q.Version()), nil)
	}
	if q == nil {
		return
	}
	roots := trusted.Intel.Roots
	if roots == nil {
		roots = tdx.BuiltinRoots()
	}
	v.record(pckChain, q.PCK().String(), q.VerifyCertificates(roots, at))
	v.record(qeReport, fmt.Sprintf("of Intel's quoting enclave, ISVSVN %d", q.QE().ISVSVN()), q.VerifyQE())
	v.record(tdSignature, "by the attestation key", q.VerifySignature())
	v.record(tdAttributes, q.Attributes().String(), q.Attributes().Check())
	v.checkTDReport(g)
	v.checkCollateral(g, trusted.Intel, roots, at)
}

// refuseChain fails if the caller gave AMD's certificates.
func (v *Verdict) refuseChain(g *Given) {
	if g.GivenChain != nil {
		v.record(certificateChain, "", &wrongChainError{})
	}
}

// wrongChainError is the error for AMD's certificates beside evidence of TDX.
type wrongChainError struct{}

func (*wrongChainError) Error() string {
	return "this is evidence of TDX, and the chain of --chain is AMD's"
}

// Advice returns what to do.
func (*wrongChainError) Advice() string {
	return "leave --chain out: a TDX quote has its own certificates"
}

func (v *Verdict) checkTDReport(g *Given) {
	switch {
	case g.TDReportErr != nil && g.TDReport == nil:
		v.record(tdReport, "", g.TDReportErr)
	case g.TDReport == nil:
		v.skip(tdReport, "none was given")
	default:
		v.record(tdReport, "equal to the quote", g.TDQuote.CheckReport(g.TDReport))
	}
}

// checkTDData compares the quote with the data that came with it and the data of the caller.
func (v *Verdict) checkTDData(g Given) {
	if g.GivenData != nil || g.RuntimeData != nil {
		v.require(runtimeData)
	}
	switch {
	case g.GivenData == nil && g.RuntimeData == nil:
		v.skip(runtimeData, "none was given")
	case g.TDQuote == nil:
		v.skip(runtimeData, "there is no TDX quote")
	default:
		v.record(runtimeData, "bound", checkRuntimeData(snp.ReportData(g.TDQuote.ReportData()), g))
	}
}

// checkCollateral makes the checks that need collateral. Without a policy that demands it, a
// check that cannot be made is skipped.
func (v *Verdict) checkCollateral(g *Given, trusted Platform, roots *tdx.Roots, at time.Time) {
	if trusted.Policy.Demands() {
		v.require(collateral, revocation, tcbLevel)
	}
	c, why, err := findCollateral(g, trusted)
	if err == nil && c != nil {
		err = c.Authenticate(g.TDQuote, roots)
	}
	if err != nil {
		v.record(collateral, "", err)
		v.skip(revocation, "the collateral cannot be used")
		v.skip(tcbLevel, "the collateral cannot be used")
		return
	}
	if c == nil {
		for _, name := range []string{collateral, revocation, tcbLevel} {
			v.skip(name, why)
		}
		return
	}
	v.checkDates(c, why, trusted.Policy, at)
	v.checkRevoked(c, g.TDQuote)
	v.checkLevel(c, g.TDQuote, trusted.Policy)
}

// findCollateral returns nil and the reason if none is at hand. Otherwise it returns where the
// collateral comes from.
func findCollateral(g *Given, trusted Platform) (c *tdx.Collateral, why string, err error) {
	switch {
	case g.CollateralErr != nil:
		return nil, "", g.CollateralErr
	case g.Collateral != nil:
		return g.Collateral, "it came with the evidence", nil
	case trusted.Find == nil:
		return nil, "there is none: give it as a file, or name collateral_sources", nil
	}
	if c, err = trusted.Find(g.TDQuote); err != nil {
		return nil, err.Error(), nil //nolint:nilerr // a reason that is reported
	}
	return c, "found by collateral_sources", nil
}

// checkDates compares the dates of the parts, and notes what is missing.
func (v *Verdict) checkDates(c *tdx.Collateral, origin string, policy tdx.Policy, at time.Time) {
	var faults []string
	for _, name := range c.Missing() {
		faults = append(faults, name+" is missing")
	}
	for _, old := range c.OutOfDate(at) {
		faults = append(faults, old+" is out of date")
	}
	switch {
	case faults == nil:
		v.record(collateral, fmt.Sprintf("%s, valid until %s", origin, c.Expires().UTC().Format(time.RFC3339)), nil)
	case policy.Demands():
		v.record(collateral, "", fmt.Errorf("tcb_status demands collateral that is complete and in date: %s", strings.Join(faults, "; ")))
	default:
		v.record(collateral, origin+", but "+strings.Join(faults, "; "), nil)
		v.unjudged = append(v.unjudged, "what Intel says at this time (collateral: "+strings.Join(faults, "; ")+")")
	}
}

func (v *Verdict) checkRevoked(c *tdx.Collateral, q *tdx.Quote) {
	missing := c.Missing()
	without := func(name string) bool { return slices.Contains(missing, name) }
	if without("PCK CRL") && without("root CRL") {
		v.skip(revocation, "there are no revocation lists")
		return
	}
	detail := "no certificate is in a list"
	if without("PCK CRL") || without("root CRL") {
		detail = "no certificate is in the list that is there"
	}
	v.record(revocation, detail, c.CheckRevoked(q))
}

func (v *Verdict) checkLevel(c *tdx.Collateral, q *tdx.Quote, policy tdx.Policy) {
	if c.TCBInfo == nil || c.QEIdentity == nil {
		v.skip(tcbLevel, "it needs TCB info and QE identity")
		return
	}
	level, err := c.Level(q)
	if err == nil {
		err = policy.Check(level)
	}
	v.record(tcbLevel, level.String(), err)
}

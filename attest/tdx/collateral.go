package tdx

import (
	"errors"
	"fmt"
	"time"
)

// Collateral is what Intel publishes about platforms: TCB levels of a kind of platform, the
// identity of the quoting enclave, and the certificates that are revoked. Each part may be
// nil; [Result] lists what was not looked at. A nil Collateral has no parts.
//
// The methods are the steps of [Quote.Verify], for tools that show each step.
type Collateral struct {
	TCBInfo    *TCBInfo
	QEIdentity *QEIdentity
	// PCKCRL is the list of the authority of PCK certificates.
	PCKCRL *CRL
	// RootCRL is the list of the root.
	RootCRL *CRL
}

// Authenticate checks that Intel signed each part, and that each is for the quote's platform.
// It does not compare dates: see [Collateral.OutOfDate]. The error wraps [ErrCollateral].
func (c *Collateral) Authenticate(q *Quote, roots *Roots) error {
	c = c.orEmpty()
	for _, check := range []func(*Quote, *Roots) error{c.TCBInfo.authenticate, c.QEIdentity.authenticate, c.authenticateCRLs} {
		if err := check(q, roots); err != nil {
			return fmt.Errorf("%w: %w", ErrCollateral, err)
		}
	}
	return nil
}

func (c *Collateral) authenticateCRLs(q *Quote, roots *Roots) error {
	if err := c.PCKCRL.authenticate("the PCK CRL", q.pck.intermediate); err != nil {
		return err
	}
	anchor, err := roots.anchor(q.pck.root)
	if err != nil {
		return err
	}
	return c.RootCRL.authenticate("the root CRL", anchor)
}

// Missing lists the parts that are nil.
func (c *Collateral) Missing() []string {
	var missing []string
	for _, part := range c.parts() {
		if !part.present {
			missing = append(missing, part.name)
		}
	}
	return missing
}

// OutOfDate lists the parts that are not valid at the time now, each with its dates. The
// certificate that signed a part counts, too.
func (c *Collateral) OutOfDate(now time.Time) []string {
	var old []string
	for _, part := range c.parts() {
		if !part.present {
			continue
		}
		if now.Before(part.from) || now.After(part.to) {
			old = append(old, fmt.Sprintf("%s (valid %s)", part.name, period(part.from, part.to)))
		}
	}
	return old
}

// usable reports whether all parts are there and in date.
func (c *Collateral) usable(now time.Time) bool { return incomplete(c, now) == nil }

// CheckRevoked checks that no certificate in the quote's chain, and none that signed the
// collateral, is in a list. Missing lists are not looked at. The error wraps [ErrRevoked].
func (c *Collateral) CheckRevoked(q *Quote) error {
	c = c.orEmpty()
	err := c.PCKCRL.check(q.pck.leaf)
	if err == nil {
		err = c.RootCRL.check(q.pck.intermediate)
	}
	if err == nil && c.TCBInfo != nil {
		err = c.RootCRL.check(c.TCBInfo.signer)
	}
	if err == nil && c.QEIdentity != nil {
		err = c.RootCRL.check(c.QEIdentity.signer)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRevoked, err)
	}
	return nil
}

// Level returns the TCB level of the quote's platform, TDX module and quoting enclave. The
// status is the worst of them. The error wraps [ErrCollateral] if TCB info or QE identity is
// missing, or contradicts the quote.
func (c *Collateral) Level(q *Quote) (Level, error) {
	if c = c.orEmpty(); c.TCBInfo == nil || c.QEIdentity == nil {
		return Level{}, fmt.Errorf("%w: TCB info and QE identity are both needed", ErrCollateral)
	}
	level, err := c.TCBInfo.level(q)
	if err != nil {
		return Level{}, fmt.Errorf("%w: TCB info: %w", ErrCollateral, err)
	}
	qe, err := c.QEIdentity.level(q.qe)
	if err != nil {
		return Level{}, fmt.Errorf("%w: QE identity: %w", ErrCollateral, err)
	}
	level.add("the quoting enclave", qe)
	return level, nil
}

// part is the state of a part.
type part struct {
	name     string
	present  bool
	from, to time.Time
}

// orEmpty returns c, or collateral without parts for nil.
func (c *Collateral) orEmpty() *Collateral {
	if c == nil {
		return &Collateral{}
	}
	return c
}

func (c *Collateral) parts() []part {
	c = c.orEmpty()
	parts := []part{{name: "TCB info"}, {name: "QE identity"}, {name: "PCK CRL"}, {name: "root CRL"}}
	if c.TCBInfo != nil {
		parts[0] = c.TCBInfo.period("TCB info")
	}
	if c.QEIdentity != nil {
		parts[1] = c.QEIdentity.period("QE identity")
	}
	if c.PCKCRL != nil {
		parts[2] = part{"PCK CRL", true, c.PCKCRL.list.ThisUpdate, c.PCKCRL.list.NextUpdate}
	}
	if c.RootCRL != nil {
		parts[3] = part{"root CRL", true, c.RootCRL.list.ThisUpdate, c.RootCRL.list.NextUpdate}
	}
	return parts
}

// Expires returns when the first part ends to be valid; zero if there are none.
func (c *Collateral) Expires() time.Time {
	var first time.Time
	for _, part := range c.parts() {
		if part.present && (first.IsZero() || part.to.Before(first)) {
			first = part.to
		}
	}
	return first
}

var errEmptyCollateral = errors.New("there is no part of collateral in it")

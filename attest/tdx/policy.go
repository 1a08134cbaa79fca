package tdx

import (
	"fmt"
	"slices"
	"strings"
)

// Status is what Intel says about a TCB level (Intel PCS API, version 4, tcbStatus).
type Status string

// The statuses.
const (
	UpToDate                          Status = "UpToDate"
	SWHardeningNeeded                 Status = "SWHardeningNeeded"
	ConfigurationNeeded               Status = "ConfigurationNeeded"
	ConfigurationAndSWHardeningNeeded Status = "ConfigurationAndSWHardeningNeeded"
	OutOfDate                         Status = "OutOfDate"
	OutOfDateConfigurationNeeded      Status = "OutOfDateConfigurationNeeded"
	Revoked                           Status = "Revoked"
	// NotSupported is ours: no level applies, as the platform is below all of them. Intel's
	// library returns the error STATUS_TCB_NOT_SUPPORTED. Some healthy machines of Azure are
	// of this kind.
	NotSupported Status = "NotSupported"
)

// acceptable are the statuses that a policy may name: Revoked is never acceptable.
var acceptable = []Status{
	UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate, OutOfDateConfigurationNeeded, NotSupported,
}

// Policy says what is demanded of the platform's TCB. The zero value demands nothing:
// collateral that is missing or out of date is reported in the [Result].
type Policy struct{ tcbStatus []Status }

// ParsePolicy returns the policy that demands collateral that is complete and in date, and one
// of these statuses. An empty list demands nothing.
func ParsePolicy(tcbStatus ...string) (Policy, error) {
	var p Policy
	for _, text := range tcbStatus {
		if !slices.Contains(acceptable, Status(text)) {
			return Policy{}, fmt.Errorf("TCB status %.60q: want one of %s", text, list(acceptable))
		}
		p.tcbStatus = append(p.tcbStatus, Status(text))
	}
	return p, nil
}

// Demands reports whether the policy demands collateral.
func (p Policy) Demands() bool { return len(p.tcbStatus) > 0 }

// Check checks a TCB level. The error wraps [ErrRevoked] if the level is revoked, and
// [ErrTCBStatus] if the policy does not have its status.
func (p Policy) Check(l Level) error {
	switch {
	case l.Status == Revoked:
		return fmt.Errorf("%w: the TCB level is revoked (%s)", ErrRevoked, l)
	case p.Demands() && !slices.Contains(p.tcbStatus, l.Status):
		return fmt.Errorf("%w: it is %s, the policy has %s", ErrTCBStatus, l, list(p.tcbStatus))
	}
	return nil
}

func list(all []Status) string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

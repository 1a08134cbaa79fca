package vcek

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"skr/attest/snp"
	"skr/internal/refusal"
)

// failure is the reason why one source returned no chain.
type failure struct {
	source Source
	err    error
}

// isFixed reports whether the source is a file of this host or cannot be used. Neither changes.
func (f failure) isFixed() bool {
	_, isFile := f.source.(*hostSource)
	_, unusable := errors.AsType[*unusableError](f.err)
	return isFile || unusable
}

// failures are the failures of all sources, in their order.
type failures []failure

// String returns each source with its reason.
func (f failures) String() string {
	reasons := make([]string, 0, len(f))
	for _, one := range f {
		reasons = append(reasons, fmt.Sprintf("%s: %v", one.source, one.err))
	}
	return strings.Join(reasons, "; ")
}

// refuse summarises the failures. It includes the causes only as text, because errors.Is
// must match the summary's kind and not theirs.
func (f failures) refuse(report *snp.Report) error {
	names := make([]string, 0, len(f))
	for _, one := range f {
		names = append(names, one.name())
	}
	cause := errors.New("there are no sources")
	if len(f) > 0 {
		cause = errors.New(f.String())
	}
	kind, wait := f.kind()
	reason := fmt.Sprintf("no certificate chain for the report's chip and TCB (%s); asked: %s",
		report.ReportedTCB(), strings.Join(names, ", "))
	return &refusal.Error{Kind: kind, Reason: reason, RetryAfter: wait, Err: cause}
}

// name adds to a source why it cannot be used, because a later attempt would not help.
func (f failure) name() string {
	if unusable, ok := errors.AsType[*unusableError](f.err); ok {
		return fmt.Sprintf("%s (%.200s)", f.source, unusable)
	}
	return f.source.String()
}

// kind returns NoEndorsements if any service definitely has no chain, and otherwise the
// kind of their failures with the shortest wait. It ignores the host's file, which is
// outdated after each firmware update and does not predict what a service has, and
// sources that cannot be used.
func (f failures) kind() (*refusal.Kind, time.Duration) {
	kind, wait := refusal.NoEndorsements, time.Duration(0)
	for _, one := range f {
		transient, after := transientKind(one.err)
		switch {
		case one.isFixed():
		case transient == nil:
			return refusal.NoEndorsements, 0
		case kind != refusal.Throttled:
			kind = transient
		}
		if after > 0 && (wait == 0 || after < wait) {
			wait = after
		}
	}
	return kind, wait
}

// transientKind returns nil for errors that another attempt would not cure.
func transientKind(err error) (*refusal.Kind, time.Duration) {
	if errors.Is(err, context.DeadlineExceeded) {
		return refusal.Unavailable, 0
	}
	var wait time.Duration
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		wait = refused.RetryAfter
	}
	switch {
	case errors.Is(err, ErrThrottled):
		return refusal.Throttled, wait
	case errors.Is(err, ErrUnavailable):
		return refusal.Unavailable, wait
	case errors.Is(err, refusal.Timeout):
		return refusal.Unavailable, 0
	}
	return nil, 0
}

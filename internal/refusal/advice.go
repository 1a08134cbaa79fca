package refusal

import (
	"errors"
	"strings"
)

// adviser is an error that says what to do about it.
type adviser interface {
	error
	Advice() string
}

// Advised adds to err what to do about it. Its text stays as it is; nil stays nil.
func Advised(err error, advice string) error {
	if err == nil || advice == "" {
		return err
	}
	return advised{err, advice}
}

type advised struct {
	error
	advice string
}

var _ adviser = advised{}

func (a advised) Advice() string { return a.advice }
func (a advised) Unwrap() error  { return a.error }

// Advice returns what to do about err: the advice of the error nearest to the cause, else
// the last clause of a refusal's reason, else the advice for its kind. It returns "" if err
// is not a refusal and has no advice.
func Advice(err error) string {
	if said := nearest(err); said != "" {
		return said
	}
	refused, ok := errors.AsType[*Error](err)
	if !ok {
		return ""
	}
	if clause := refused.lastClause(); clause != "" {
		return clause
	}
	return general[refused.Kind]
}

// nearest returns the advice of the deepest adviser, the first of several that are as deep.
func nearest(err error) string {
	var inner []error
	switch wrapper := err.(type) { //nolint:errorlint // each link of the chain is looked at
	case interface{ Unwrap() error }:
		inner = []error{wrapper.Unwrap()}
	case interface{ Unwrap() []error }:
		inner = wrapper.Unwrap()
	}
	for _, e := range inner {
		if said := nearest(e); said != "" {
			return said
		}
	}
	if a, ok := err.(adviser); ok { //nolint:errorlint // as above
		return a.Advice()
	}
	return ""
}

// lastClause returns what follows the last semicolon of a reason that was written for
// callers. In the text of a cause, semicolons join causes.
func (e *Error) lastClause() string {
	i := strings.LastIndex(e.Reason, "; ")
	if i < 0 || e.Err != nil && e.Err.Error() == e.Reason {
		return ""
	}
	return e.Reason[i+len("; "):]
}

// general is the advice if the refusal names only its kind.
var general = map[*Kind]string{
	BadRequest:         "correct the request: the message names the member, and api/openapi.yaml describes it",
	EndpointNotAllowed: "maa_allow, vault_allow and keys in the configuration list what may be named",
	CallerNotAllowed:   "access and the ops of the alias, in the configuration, say what callers may do",
	NoEvidence: "run on confidential hardware, and let the container use /dev/sev-guest, on virtual machines /dev/tpmrm0; " +
		"report_source names another source",
	NoEndorsements:      "see which of certificate_sources failed, and why; amd_roots is for silicon that is not AMD's",
	AttestationRejected: "read the authority's own words in the details and in the log",
	ReleaseRejected:     "read the words of the vault or the identity provider in the details and in the log",
	OperationRejected:   "read the words of the vault in the log",
	ManagementRejected:  "read the words of the vault or the identity provider in the details and in the log",
	KeyNotFound:         "`skrctl key list` shows the keys that there are",
	Throttled:           "try again later; fleet_window spreads the requests of many pods",
	Unavailable:         "check the address, and firewalls and proxies on the way, and try again",
	Untrusted:           "check the address, and which server answers there",
	Timeout:             "check firewalls, network rules and private endpoints on the way, or give a longer request_timeout",
}

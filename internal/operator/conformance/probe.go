package conformance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"skr/api"
	"skr/internal/check"
)

// verdict is what api/openapi.yaml says about a request.
type verdict int

const (
	// wordless is for what schemas cannot express, such as a repeated member or a Host header.
	wordless verdict = iota
	good             // the document allows the request
	bad              // the document refuses the request
)

// probe is one request with the rules of each contract for its answer.
type probe struct {
	name         string // of the checks; it is stable
	method, path string // with the query
	host         string
	header       map[string]string
	body         string
	verdict      verdict
	// reports counts those that the hardware makes for the request; reportsIfAccepted counts them
	// for a request that skr refuses and another sidecar may accept.
	reports, reportsIfAccepted int
	isServed                   bool // 404 and 405 mean that the sidecar does not serve this
	// succeeds marks a request that gets a result if the machine, the authority and the vault allow
	// it. Their refusal shows nothing about the contract.
	succeeds bool
	skip     string // why the request is not sent
	// reference and own are the rules of the contracts; nil if a contract has none.
	reference, own rule
}

// judge applies a contract's rule to the answer.
func (p probe) judge(a *answer, contract Contract, held rule) (check.Outcome, string) {
	broken := held(a)
	code := codeOf(a)
	switch {
	case broken == "":
		return check.OK, a.describe()
	case p.isServed && isAbsent(a, code):
		return check.Warning, fmt.Sprintf("status %d: the sidecar has no %s %s", a.status, p.method, pathOf(p))
	case slices.Contains(anytime, code) && a.status == code.HTTPStatus(),
		p.succeeds && slices.Contains(circumstances, code) && a.status == code.HTTPStatus():
		return check.Skipped, fmt.Sprintf("refused with %d %s: %s", a.status, code, because[code])
	case p.succeeds && contract == Reference && code == "" && isRefusal(a):
		return check.Skipped, fmt.Sprintf("refused with %d, without a code: the log of the sidecar says why", a.status)
	}
	return check.Failed, contract.words() + ": " + broken
}

// anytime are codes that any request can get, and circumstances those that a good request can get.
var (
	anytime       = []api.Code{api.CallerNotAllowed, api.Throttled, api.Timeout}
	circumstances = []api.Code{
		api.NoEvidence, api.NoEndorsements, api.AttestationRejected, api.ReleaseRejected, api.KeyNotFound,
		api.EndpointNotAllowed, api.Unavailable, api.UntrustedResponse,
	}
)

// because says what a refusal means for the checks.
var because = map[api.Code]string{
	api.CallerNotAllowed:    "the sidecar limits its callers, and no token is sent",
	api.Throttled:           "try again when the sidecar is less busy",
	api.Timeout:             "the sidecar's own time for a request was over",
	api.NoEvidence:          "this machine makes no report",
	api.NoEndorsements:      "the sidecar found no certificates for the report",
	api.AttestationRejected: "the authority refused this machine",
	api.ReleaseRejected:     "the vault or its identity provider refused the release",
	api.KeyNotFound:         "the vault has no such key",
	api.EndpointNotAllowed:  "the sidecar's configuration does not allow the authority, the vault or the key",
	api.Unavailable:         "a service is unreachable",
	api.UntrustedResponse:   "a service gave a wrong answer",
}

// isAbsent reports whether the sidecar has no such route. A missing key is another 404.
func isAbsent(a *answer, code api.Code) bool {
	return (a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed) && code != api.KeyNotFound
}

var errorForm = regexp.MustCompile(`^\s*\{\s*"error"\s*:`)

// isRefusal reports whether a drop-in refused: 403 or 5xx, and an error. The reference sidecar may
// add a second object.
func isRefusal(a *answer) bool {
	return (a.status == http.StatusForbidden || a.status >= http.StatusInternalServerError) && errorForm.Match(a.body)
}

// codeOf returns the code of an error, or "".
func codeOf(a *answer) api.Code {
	if a.status == http.StatusOK {
		return ""
	}
	if text, ok := textOf(a.body, "code"); ok && slices.Contains(api.Codes(), api.Code(text)) {
		return api.Code(text)
	}
	return ""
}

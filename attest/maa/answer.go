package maa

import (
	"fmt"
	"net/http"

	"skr/attest"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/strictjson"
)

const (
	// maxToken is in characters. A token has 5,000, plus four thirds of the size of
	// the runtime data, of which the local API accepts up to 190 KiB.
	maxToken   = 512 << 10
	maxMessage = 512 // bytes of a remote message in the log
)

// hints say what to do about the error codes that refuse evidence ("Azure Attestation
// troubleshooting guide"; Azure REST API specification, CloudError). Other codes appear in
// the log only.
var hints = map[string]string{
	"InvalidParameter": "it found the evidence malformed or not authentic; check that the certificates match the report" +
		" and that the endorsement belongs to this utility VM",
	"PolicyEvaluationError": "its attestation policy denies this machine; compare the policy's authorization rules with the machine's claims",
	"PolicyParsingError":    "its attestation policy cannot be read; correct the policy of the instance",
	"InvalidOperation":      "the instance does not support this operation; check that it serves this kind of machine",
	"Unauthorized":          "it asks for credentials, which attestation does not need; check the endpoint",
	"Forbidden":             "it does not let this network or caller in; check the instance's network rules",
}

// readAnswer returns the token of a success, and the reason of a refusal as an error.
func readAnswer(authority attest.Authority, a *answer) (string, error) {
	switch a.status {
	case http.StatusOK:
		return readToken(authority, a.body)
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return "", rejected(authority, a)
	default:
		return "", untrusted(authority, fmt.Sprintf("answered with status %d; check that it is an attestation endpoint", a.status), nil)
	}
}

func readToken(authority attest.Authority, body []byte) (string, error) {
	answer, err := strictjson.Parse(body)
	if err != nil {
		return "", untrusted(authority, "its answer is not JSON", err)
	}
	token, ok := answer.Text("token")
	if !ok || token == "" {
		return "", untrusted(authority, "its answer has no token", nil)
	}
	return token, nil
}

// rejected decodes {"error":{"code","message"}}. The service's message may quote the
// request, so it goes to the log only, shortened and scrubbed.
func rejected(authority attest.Authority, a *answer) error {
	body, _ := strictjson.Parse(a.body) // without a body, only the status is known
	code, _ := body.Text("error.code")
	message, _ := body.Text("error.message")
	cause := fmt.Errorf("status %d, code %.64q, message %q", a.status, secmem.Scrub(code), secmem.Excerpt(message, maxMessage))
	return refusal.Because(refusal.AttestationRejected, "attestation service "+authority.String()+" "+advice(a.status, code), cause)
}

func advice(status int, code string) string {
	hint, known := hints[code]
	switch {
	case known:
		return fmt.Sprintf("refused the evidence (%s): %s", code, hint)
	case status == http.StatusUnauthorized:
		return "refused the request: " + hints["Unauthorized"]
	case status == http.StatusForbidden:
		return "refused the request: " + hints["Forbidden"]
	default:
		return "refused the evidence; this sidecar's log has the service's message"
	}
}

package maa

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"skr/attest"
	"skr/attest/snp"
	"skr/internal/refusal"
	"skr/internal/strictjson"
)

// Claims of an SEV-SNP token ("Azure Attestation claim sets").
const (
	claimNonce           = "nonce"
	claimAttestationType = "x-ms-attestation-type"
	claimRuntime         = "x-ms-runtime"
	claimReportData      = "x-ms-sevsnpvm-reportdata"
)

const attestationType = "sevsnpvm"

// question is about a report of the chip alone.
type question struct {
	evidence   *attest.Evidence
	nonce      uint64
	runtime    runtime
	reportData snp.ReportData
}

// runtime data as a JSON object. One that has a member twice has no meaning of its
// own: which of the two the token repeats is the authority's choice.
type runtime struct {
	object   strictjson.Object
	repeated bool
}

var _ exchange = (*question)(nil)

// newQuestion draws a nonce. Runtime data that is no JSON object is refused
// here: MAA expands only JSON for SEV-SNP, so that nobody could find in the
// token what the report is bound to.
func newQuestion(e *attest.Evidence) (*question, error) {
	runtime, err := parseRuntime(e.RuntimeData)
	if err != nil {
		return nil, refusal.Because(refusal.BadRequest, "runtime data for attestation must be one JSON object, of at most 32,768 values", err)
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	return &question{e, binary.BigEndian.Uint64(random[:]), runtime, e.Report.ReportData()}, nil
}

func parseRuntime(data []byte) (runtime, error) {
	parsed, err := strictjson.Parse(data)
	if errors.Is(err, strictjson.ErrRepeated) && json.Valid(data) && bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return runtime{repeated: true}, nil
	}
	return runtime{object: parsed}, err
}

func (q *question) request(version string) (string, []byte, error) {
	body, err := encodeRequest(q.evidence, q.nonce)
	return "/attest/SevSnpVm?" + url.Values{"api-version": {version}}.Encode(), body, err
}

// open: the answer is the token.
func (q *question) open(_ context.Context, authority attest.Authority, answer string) (string, error) {
	if len(answer) > maxToken {
		return "", tooLong(authority)
	}
	return answer, nil
}

func tooLong(authority attest.Authority) error {
	return untrusted(authority, fmt.Sprintf("its token has more than %d characters", maxToken), nil)
}

// check finds a token that is authentic and answers something else: another
// request, another machine, or another key than ours.
func (q *question) check(authority attest.Authority, claims strictjson.Object) error {
	switch {
	case !q.echoed(claims):
		return untrusted(authority, "its token does not carry our nonce", nil)
	case contradicts(claims, claimAttestationType, attestationType):
		return untrusted(authority, "its token is not about an SEV-SNP machine", nil)
	case !q.bound(claims):
		return untrusted(authority, "its token does not carry our runtime data", nil)
	case contradicts(claims, claimReportData, hex.EncodeToString(q.reportData[:])):
		return untrusted(authority, "its token is about another report", nil)
	default:
		return nil
	}
}

// echoed accepts the nonce as a string, which MAA makes of a number, and as a
// number.
func (q *question) echoed(claims strictjson.Object) bool {
	want := strconv.FormatUint(q.nonce, 10)
	value, _ := claims.Lookup(claimNonce)
	return value == want || value == json.Number(want)
}

// bound compares the runtime data as JSON values, for MAA sorts members and
// drops white space. This is what ties the key to the token.
//
// Of runtime data with a repeated member the token must name the report data, which
// are the hash of its exact bytes.
func (q *question) bound(claims strictjson.Object) bool {
	theirs, found := claims.Lookup(claimRuntime)
	if q.runtime.repeated {
		hashed, _ := claims.Text(claimReportData)
		return found && hashed == hex.EncodeToString(q.reportData[:])
	}
	return found && q.runtime.object.Equal(theirs)
}

// contradicts finds a claim that is there and has another value. Nonce and
// runtime data already tie the token to this evidence; a claim that an
// authority leaves out is for release policies to miss.
func contradicts(claims strictjson.Object, path, want string) bool {
	got, found := claims.Lookup(path)
	return found && got != want
}

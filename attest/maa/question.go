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

const badRuntime = "runtime data for attestation must be one JSON object, of at most 32,768 values"

// question is the exchange about a report of the chip, without a virtual TPM.
type question struct {
	evidence   *attest.Evidence
	nonce      uint64
	runtime    runtime
	reportData snp.ReportData
}

// runtime is the runtime data as a JSON object. If a member is repeated, the authority
// chooses which of the two the token contains.
type runtime struct {
	object   strictjson.Object
	repeated bool
}

var _ exchange = (*question)(nil)

// newQuestion draws a nonce. It refuses runtime data that is not a JSON object, because
// MAA expands only JSON for SEV-SNP, and the token would not show what the report is bound
// to.
func newQuestion(e *attest.Evidence) (*question, error) {
	runtime, err := parseRuntime(e.RuntimeData)
	if err != nil {
		return nil, refusal.Because(refusal.BadRequest, badRuntime, err)
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

// open returns the answer, which is the token.
func (q *question) open(_ context.Context, authority attest.Authority, answer string) (string, error) {
	return asIs(authority, answer)
}

// asIs returns an answer that is the token.
func asIs(authority attest.Authority, answer string) (string, error) {
	if len(answer) > maxToken {
		return "", tooLong(authority)
	}
	return answer, nil
}

func tooLong(authority attest.Authority) error {
	return untrusted(authority, fmt.Sprintf("its token has more than %d characters", maxToken), nil)
}

// check refuses a token for another request, another machine or another key.
func (q *question) check(authority attest.Authority, claims strictjson.Object) error {
	switch {
	case !q.echoed(claims):
		return untrusted(authority, "its token does not carry our nonce", nil)
	case contradicts(claims, claimAttestationType, attestationType):
		return untrusted(authority, "its token is not about an SEV-SNP machine", nil)
	case !q.runtime.in(claims, claimReportData, hex.EncodeToString(q.reportData[:])):
		return untrusted(authority, "its token does not carry our runtime data", nil)
	case contradicts(claims, claimReportData, hex.EncodeToString(q.reportData[:])):
		return untrusted(authority, "its token is about another report", nil)
	default:
		return nil
	}
}

// echoed accepts the nonce as a number, and as a string, to which MAA converts numbers.
func (q *question) echoed(claims strictjson.Object) bool {
	want := strconv.FormatUint(q.nonce, 10)
	value, _ := claims.Lookup(claimNonce)
	return value == want || value == json.Number(want)
}

// in compares the runtime data with the claims as JSON values, because MAA sorts members and
// drops white space. This binds the key to the token.
//
// If a member is repeated, in compares the claim of the report data instead, which contain the
// hash of the exact bytes.
func (r runtime) in(claims strictjson.Object, reportData, want string) bool {
	theirs, found := claims.Lookup(claimRuntime)
	if r.repeated {
		hashed, _ := claims.Text(reportData)
		return found && hashed == want
	}
	return found && r.object.Equal(theirs)
}

// contradicts reports whether the claim is present with another value. Nonce and runtime
// data already bind the token to this evidence. Release policies notice a claim that an
// authority omits.
func contradicts(claims strictjson.Object, path, want string) bool {
	got, found := claims.Lookup(path)
	return found && got != want
}

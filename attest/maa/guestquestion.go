package maa

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"skr/attest"
	"skr/attest/vtpm"
	"skr/internal/jose/jwk"
	"skr/internal/refusal"
	"skr/internal/strictjson"
)

// guestAPIVersion is the version that Azure's own clients use for AzureGuest.
const guestAPIVersion = "2020-10-01"

// Claims of an AzureGuest token ("Azure Attestation claim sets").
const (
	guestType        = "azurevm"
	claimPayload     = claimRuntime + ".client-payload."
	claimIsolation   = "x-ms-isolation-tee"
	isolatedReport   = claimIsolation + "." + claimReportData
	isolatedRuntime  = claimIsolation + "." + claimRuntime
	isolatedType     = claimIsolation + "." + claimAttestationType
	payloadNonce     = "nonce"
	payloadRuntime   = "runtime-data"
	maxGuestEnvelope = 3 * maxToken // base64 of JSON of base64
)

// guestQuestion is the exchange about a machine with a virtual TPM. The token is bound to
// the key in that TPM, which is needed to decrypt the answer. The token repeats nonce and
// runtime data, which nothing proves.
type guestQuestion struct {
	evidence *attest.Evidence
	payload  map[string][]byte
}

var _ exchange = (*guestQuestion)(nil)

func newGuestQuestion(e *attest.Evidence) *guestQuestion {
	payload := map[string][]byte{payloadNonce: []byte(rand.Text())}
	if e.RuntimeData != nil {
		payload[payloadRuntime] = e.RuntimeData
	}
	return &guestQuestion{e, payload}
}

func (q *guestQuestion) request(string) (string, []byte, error) {
	body, err := encodeGuestRequest(q.evidence, q.payload)
	return "/attest/AzureGuest?api-version=" + guestAPIVersion, body, err
}

// open decrypts the envelope with the TPM.
func (q *guestQuestion) open(ctx context.Context, authority attest.Authority, answer string) (string, error) {
	if len(answer) > maxGuestEnvelope {
		return "", tooLong(authority)
	}
	text, err := jwk.DecodeStrict(base64.RawURLEncoding, strings.TrimRight(answer, "="))
	if err != nil {
		return "", untrusted(authority, "its answer is no envelope around a token", err)
	}
	envelope, err := vtpm.ParseEnvelope(text)
	if err != nil {
		return "", untrusted(authority, "its answer is no envelope around a token", err)
	}
	key, err := q.evidence.Guest.Key.DecryptRSAES(ctx, envelope.InnerKey())
	if errors.Is(err, refusal.NoEvidence) || errors.Is(err, refusal.Throttled) || ctx.Err() != nil {
		return "", fmt.Errorf("opening the token's envelope: %w", err)
	}
	if err != nil {
		return "", untrusted(authority, "its token is sealed to another key than the one in this machine's TPM", err)
	}
	defer clear(key)
	token, err := envelope.Open(key)
	switch {
	case err != nil:
		return "", untrusted(authority, "its token's envelope was altered", err)
	case len(token) > maxToken:
		return "", tooLong(authority)
	}
	return string(token), nil
}

func (q *guestQuestion) check(authority attest.Authority, claims strictjson.Object) error {
	switch {
	case contradicts(claims, claimAttestationType, guestType):
		return untrusted(authority, "its token is not about a virtual machine with a TPM", nil)
	case !q.echoed(claims, payloadNonce):
		return untrusted(authority, "its token does not carry our nonce", nil)
	case !q.echoed(claims, payloadRuntime):
		return untrusted(authority, "its token does not carry our runtime data", nil)
	case !q.bound(claims):
		return untrusted(authority, "its token does not carry the key of this machine's TPM", nil)
	case q.evidence.OfProcessor() && !q.sameReport(claims):
		return untrusted(authority, "its token is about another report", nil)
	default:
		return nil
	}
}

// echoed reports whether the token repeats the member that was sent, in base64.
func (q *guestQuestion) echoed(claims strictjson.Object, member string) bool {
	sent, asked := q.payload[member]
	if !asked {
		return true
	}
	value, _ := claims.Text(claimPayload + member)
	return value == base64.StdEncoding.EncodeToString(sent)
}

// bound reports whether the TPM's key is the one that a vault wraps to: the first key for
// encryption ("Azure Key Vault secure key release policy grammar", section "Environment
// Assertion").
func (q *guestQuestion) bound(claims strictjson.Object) bool {
	runtime, _ := claims.Lookup(claimRuntime)
	text, err := json.Marshal(runtime)
	if err != nil {
		return false
	}
	set, err := jwk.ParseSet(text)
	if err != nil {
		return false
	}
	first := slices.IndexFunc(set.Keys, func(k jwk.Key) bool { return k.Use == "enc" || slices.Contains(k.KeyOps, "encrypt") })
	if first < 0 {
		return false
	}
	public, err := set.Keys[first].PublicKey()
	key, ok := public.(*rsa.PublicKey)
	return err == nil && ok && key.Equal(q.evidence.Guest.Key.RSA())
}

// sameReport compares the claims about the processor with the evidence. A token that lacks them
// is not about a confidential VM, and release policies notice.
func (q *guestQuestion) sameReport(claims strictjson.Object) bool {
	theirs, found := claims.Lookup(isolatedRuntime)
	if found && !reflect.DeepEqual(any(q.evidence.Guest.HCL.Claims().Members()), theirs) {
		return false
	}
	if q.evidence.TDQuote != nil {
		return !contradicts(claims, isolatedType, tdType) && !contradictsTD(claims, claimIsolation+".", q.evidence.TDQuote)
	}
	reportData := q.evidence.Report.ReportData()
	return !contradicts(claims, isolatedReport, hex.EncodeToString(reportData[:]))
}

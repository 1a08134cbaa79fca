package hsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"skr/internal/refusal"
	"skr/internal/secmem"
)

// maxVaultText bounds how much of a vault's message is logged.
const maxVaultText = 300

// refusedBy returns the refusal for an error of the SDK.
func refusedBy(id KeyID, g Grant, err error) error {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return parseVaultError(answer).without(g).refusal(id)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return untrusted("the vault's answer is not a release result", err)
}

// VaultError is the error body of Key Vault and Managed HSM (Azure REST API
// specification, Key Vault 7.4, KeyVaultError). All of it is remote text.
type VaultError struct {
	status               int
	code, inner, message string
}

func parseVaultError(answer *azcore.ResponseError) VaultError {
	var body struct {
		Error struct {
			Code       string `json:"code"`
			Message    string `json:"message"`
			InnerError struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	// A body of another form leaves the status, which is enough to refuse.
	if data, err := runtime.Payload(answer.RawResponse); err == nil {
		_ = json.Unmarshal(data, &body)
	}
	return VaultError{answer.StatusCode, body.Error.Code, body.Error.InnerError.Code, body.Error.Message}
}

// without removes the tokens of the request, which a server may repeat.
func (e VaultError) without(g Grant) VaultError {
	for _, secret := range []string{g.Access.Reveal(), g.Attestation.Reveal()} {
		if secret == "" {
			continue
		}
		for _, text := range []*string{&e.code, &e.inner, &e.message} {
			*text = strings.ReplaceAll(*text, secret, redacted)
		}
	}
	return e
}

// ReadVaultError returns the vault's answer from an error of the SDK, without the access
// token of the request. It returns false if there was no answer.
func ReadVaultError(err error, access secmem.Text) (VaultError, bool) {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return VaultError{}, false
	}
	return parseVaultError(answer).without(Grant{Access: access}), true
}

// Status returns the HTTP status of the answer.
func (e VaultError) Status() int { return e.status }

// Says reports whether the error has this inner code, or this text in its message. message
// is in lower case. "" never matches.
func (e VaultError) Says(inner, message string) bool {
	return inner != "" && inner == e.inner || message != "" && strings.Contains(strings.ToLower(e.message), message)
}

// Scrubbed returns the error without what may be key material, for answers to requests that
// had some.
func (e VaultError) Scrubbed() VaultError {
	e.code, e.inner, e.message = secmem.Scrub(e.code), secmem.Scrub(e.inner), secmem.Scrub(e.message)
	return e
}

// Error returns a text for the log.
func (e VaultError) Error() string {
	code := fmt.Sprintf("code %q", shortened(e.code))
	if e.inner != "" {
		code += fmt.Sprintf(", inner code %q", shortened(e.inner))
	}
	return fmt.Sprintf("the vault answered %d, %s: %q", e.status, code, shortened(e.message))
}

func shortened(text string) string {
	if len(text) > maxVaultText {
		return strings.ToValidUTF8(text[:maxVaultText], "") + "…"
	}
	return text
}

func (e VaultError) refusal(id KeyID) error {
	switch {
	case e.status == http.StatusNotFound:
		return refusal.Because(refusal.KeyNotFound, fmt.Sprintf(
			"the vault has no key %q, or not in this version; check the name, and that it was not deleted%s", id, id.Advice()), e)
	case e.status >= 400 && e.status < 500:
		hint := e.hint(id)
		if e.status == http.StatusBadRequest {
			hint += id.Advice()
		}
		_, advice, _ := strings.Cut(hint, "; ") // an explanation may follow the reason
		return refusal.Because(refusal.ReleaseRejected, hint, refusal.Advised(e, advice))
	}
	return untrusted("the vault answered with a status that a release does not have", e)
}

// hint returns in one sentence what to do. It has none of the vault's own text.
func (e VaultError) hint(id KeyID) string {
	for _, h := range vaultHints {
		if e.Says(h.inner, h.message) {
			return h.hint
		}
	}
	switch e.status {
	case http.StatusUnauthorized:
		return fmt.Sprintf("the vault does not accept the access token; check that it is for the audience %s, in the vault's tenant and not expired", id.audience)
	case http.StatusForbidden:
		return "the vault forbids the release; its own words are in the log"
	}
	return "the vault calls the release request invalid; check that the key is exportable and has a release policy; the vault's own words are in the log"
}

// vaultHints match refusals by inner code or by a part of the message in lower case. The
// first match counts. The texts are from the public error reference (learn.microsoft.com/azure/key-vault/general/rest-error-codes)
// and of public reports, and a Managed HSM words some of them differently.
// UNCONFIRMED: the text for an unmet release policy, and those for a disabled
// or expired key.
var vaultHints = []struct{ inner, message, hint string }{
	{"", "does not meet",
		"the attestation does not meet the key's release policy"},
	{"", "cannot be verified",
		"the vault cannot verify the attestation token; check that the release policy names the authority that issued it, and that it has not expired"},
	{"", "on standard vault",
		"the key needs a premium vault or a managed HSM; this vault is of the standard tier"},
	{"ForbiddenByRbac", "not authorized to perform action",
		"this identity has no role that allows a release; give it Key Vault Crypto Service Release User, or " +
			"Managed HSM Crypto Service Release User, and wait for the role to take effect"},
	{"", "does not have keys release permission",
		"this identity has no permission to release keys; add release to its key permissions in the vault's access policy"},
	{"ForbiddenByFirewall", "client address is not authorized",
		"the vault's firewall does not let this address in; allow it, or use a private endpoint"},
	{"ForbiddenByConnection", "public network access is disabled",
		"the vault is closed to the public network; use its private endpoint"},
	{"KeyDisabled", "disabled key",
		"the key is disabled; enable it, or name another version"},
	{"", "expired key",
		"the key has expired; extend it, or name another version"},
}

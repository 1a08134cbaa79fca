package hsm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/internal/azure/endpoint"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// maxVaultError bounds an error body; the longest documented text has 700 bytes.
const maxVaultError = 8 << 10

// vaultTransport is between the SDK and the network.
//
// The SDK sends its first request without a token and reads the audience from the
// WWW-Authenticate header of the 401 answer. This transport answers that request itself,
// with the audience of the allow-list. So the audience never depends on a server, the SDK
// still compares it with the host, and a release is one round trip, not two.
//
// The SDK never has the access token: it sends a placeholder, which this transport
// replaces with the token on a copy of the request.
type vaultTransport struct {
	vault  Vault
	access secmem.Text
	next   policy.Transporter
}

// Do implements [policy.Transporter].
func (t vaultTransport) Do(r *http.Request) (*http.Response, error) {
	if !t.leadsHere(r.URL) {
		return nil, untrusted("the vault's answer leads to another host",
			fmt.Errorf("%q is not %q", secmem.Excerpt(r.URL.Host, maxKeyURL), t.vault))
	}
	if r.Header.Get("Authorization") == "" {
		return t.challenge(r), nil
	}
	sent, err := t.authorized(r)
	if err != nil {
		return nil, err
	}
	answer, err := t.next.Do(sent)
	if err == nil {
		answer.Request = r // the SDK's errors keep it
	}
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		// The SDK indents a JSON body for its error text, at a cost of thousands
		// of bytes for each bracket.
		answer.Body = io.NopCloser(io.LimitReader(answer.Body, maxVaultError))
	}
	if err == nil && answer.StatusCode == http.StatusUnauthorized {
		// There is no better token to retry with, and the SDK's parser of this header
		// panics on an authorization URL without a path.
		answer.Header.Del("WWW-Authenticate")
	}
	return answer, err
}

// authorized returns a copy of the request with the access token.
func (t vaultTransport) authorized(r *http.Request) (*http.Request, error) {
	if t.access.IsZero() {
		return nil, refusal.Newf(refusal.ReleaseRejected, "there is no access token for the vault")
	}
	sent := r.WithContext(r.Context())
	sent.Header = r.Header.Clone()
	sent.Header.Set("Authorization", "Bearer "+t.access.Reveal())
	return sent, nil
}

// leadsHere reports whether a URL is of this vault. The SDK follows the links of a list to
// any host, which must not receive the token.
func (t vaultTransport) leadsHere(u *url.URL) bool {
	host, err := endpoint.ParseHost(strings.ToLower(u.Host))
	return err == nil && u.Scheme == "https" && host == t.vault.host
}

// challenge returns a challenge in the form of Key Vault's own. The SDK requires a tenant as
// the first element of the path, which [placeholder] ignores.
func (t vaultTransport) challenge(r *http.Request) *http.Response {
	value := fmt.Sprintf("Bearer authorization=%q, resource=%q", "https://tenant.invalid/any", t.vault.audience)
	return &http.Response{
		Status:     "401 Unauthorized",
		StatusCode: http.StatusUnauthorized,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{"Www-Authenticate": {value}},
		Body:       http.NoBody,
		Request:    r,
	}
}

// placeholder is a credential without an access token. See [vaultTransport].
type placeholder struct{}

// GetToken implements [azcore.TokenCredential]. The tenant in the options is the one of
// challenge, and the scope is the audience of the access token. It cannot satisfy a demand
// for further claims.
func (placeholder) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if options.Claims != "" {
		return azcore.AccessToken{}, refusal.Newf(refusal.ReleaseRejected,
			"the vault demands an access token with further claims (conditional access)")
	}
	return azcore.AccessToken{Token: "none", ExpiresOn: time.Now().Add(time.Hour)}, nil // any time in the future
}

var (
	_ policy.Transporter     = vaultTransport{}
	_ azcore.TokenCredential = placeholder{}
)

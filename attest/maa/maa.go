// Package maa is the client of Microsoft Azure Attestation, the Verifier of RFC 9334
// that Azure's relying parties trust, and verifies its tokens.
//
// [Client.Appraise] posts evidence to an authority and returns a verified JSON Web
// Token. It checks the signature with a key that the authority publishes, the issuer
// and the times. It also checks that the token is about this evidence: the fresh nonce,
// the runtime data or the key in the virtual TPM, and the report. Evidence without a
// virtual TPM goes to SevSnpVm, or with a TDX quote to TdxVm. Evidence with one goes to
// AzureGuest, whose answer only that TPM can decrypt.
//
//	client := maa.New(maa.Config{HTTP: &http.Client{Timeout: time.Minute}})
//	result, err := client.Appraise(ctx, authority, evidence)
//
// A token that comes from elsewhere is verified with [Token.Verify], by keys that
// [Client.Keys] fetches or [ParseKeys] reads:
//
//	token, err := maa.ParseUnverified(text)
//	keys, err := client.Keys(ctx, authority)
//	err = token.Verify(authority, keys, time.Now())
//
// The signing keys are trusted because they come over TLS from the host that the token
// names as its issuer and that the caller allows. The package ignores other places for
// keys in a token (jku, x5u, x5c, jwk). It does not verify the evidence that newer
// signing certificates embed, and does not judge the claims, which release policies do.
package maa

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"skr/attest"
	"skr/internal/strictjson"
)

// defaultAPIVersion is a stable version of the Azure REST API specification
// ("attestation/data-plane") that has SevSnpVm.
const defaultAPIVersion = "2022-08-01"

// tdAPIVersion is the first stable version that has TdxVm. A later APIVersion replaces it.
const tdAPIVersion = "2025-06-01"

// Config describes a Client.
type Config struct {
	// HTTP asks all authorities; nil means http.DefaultClient.
	HTTP HTTPClient
	// APIVersion is the version of the REST API for SevSnpVm; "" means 2022-08-01. TdxVm
	// needs 2025-06-01 or a later one, and is asked with that if this is older.
	APIVersion string
	// UserAgent is sent with evidence; "" means the default of HTTP.
	UserAgent string
	// Now is the clock for tokens and cached keys; nil means time.Now.
	Now func() time.Time
}

// Client sends requests to authorities. It is safe for concurrent use.
type Client struct {
	http       sender
	apiVersion string
	userAgent  string
	now        func() time.Time
	keys       *keyCache
}

// New makes a Client.
func New(c Config) *Client {
	now := c.Now
	if now == nil {
		now = time.Now
	}
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	asker := sender{c.HTTP}
	return &Client{
		http:       asker,
		apiVersion: cmp.Or(c.APIVersion, defaultAPIVersion),
		userAgent:  c.UserAgent,
		now:        now,
		keys:       newKeyCache(fetcher{asker}, now),
	}
}

// Appraise posts the evidence to the authority and returns the verified result.
// The error wraps [ErrRuntimeData], [ErrRejected], [ErrUntrusted], [ErrThrottled] or
// [ErrUnavailable], or the context's error.
func (c *Client) Appraise(ctx context.Context, authority attest.Authority, evidence *attest.Evidence) (*attest.Result, error) {
	asked, err := ask(evidence)
	if err != nil {
		return nil, err
	}
	sending, ahead := c.keys.ahead(ctx, authority)
	defer ahead.stop()
	answer, err := c.post(sending, authority, asked)
	if err != nil {
		return nil, err
	}
	token, err := readAnswer(authority, answer)
	if err != nil {
		return nil, err
	}
	if token, err = asked.open(ctx, authority, token); err != nil {
		return nil, err
	}
	verified, err := c.verifyToken(ctx, authority, token, ahead)
	if err != nil {
		return nil, err
	}
	if err := asked.check(authority, verified.Claims); err != nil {
		return nil, err
	}
	return verified, nil
}

// Prepare fetches the authority's signing keys, which also opens a connection to it. If
// it fails, Appraise tries again.
func (c *Client) Prepare(ctx context.Context, authority attest.Authority) error {
	_, err := c.keys.set(ctx, authority, keysMaxAge)
	return err
}

// exchange sends one kind of evidence and checks the token for it.
type exchange interface {
	// request returns path and query, and the body, for the configured API version.
	request(version string) (target string, body []byte, err error)
	// open returns the token in the answer.
	open(ctx context.Context, authority attest.Authority, answer string) (string, error)
	// check refuses an authentic token that is about something else.
	check(authority attest.Authority, claims strictjson.Object) error
}

func ask(evidence *attest.Evidence) (exchange, error) {
	switch {
	case evidence.Guest != nil:
		return newGuestQuestion(evidence), nil
	case evidence.TDQuote != nil:
		return newTDQuestion(evidence)
	}
	return newQuestion(evidence)
}

func (c *Client) post(ctx context.Context, authority attest.Authority, asked exchange) (*answer, error) {
	target, body, err := asked.request(c.apiVersion)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if c.userAgent != "" {
		header.Set("User-Agent", c.userAgent)
	}
	return c.http.send(ctx, authority, http.MethodPost, authority.Host().URL()+target, header, body)
}

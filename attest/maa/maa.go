// Package maa is the conversation with Microsoft Azure Attestation, the
// Verifier of RFC 9334 that Azure's relying parties trust.
//
// [Client.Appraise] posts evidence to an authority and gets back a JSON Web
// Token. It believes the token only after it has verified it: the signature by
// a key that the authority itself publishes, the issuer, the times, and that
// the token is about this evidence: our fresh nonce, our runtime data or the key
// in our virtual TPM, our report. Reports of a chip alone go to SevSnpVm, what
// comes with a virtual TPM to AzureGuest, whose answer only that TPM opens.
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
// The signing keys are trusted because they come over TLS from the host that
// the token names as its issuer and that the configuration allows. What a token
// says of other places for keys (jku, x5u, x5c, jwk) is never looked at. The
// package does not verify the evidence that newer signing certificates embed,
// and does not judge the claims: that is for release policies.
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

// Config is what a Client works with.
type Config struct {
	// HTTP asks all authorities; nil means http.DefaultClient.
	HTTP HTTPClient
	// APIVersion of the REST API for SevSnpVm; "" means 2022-08-01.
	APIVersion string
	// UserAgent is sent with evidence; "" means that of HTTP.
	UserAgent string
	// Now is the clock for tokens and cached keys; nil means time.Now.
	Now func() time.Time
}

// Client asks authorities. It is safe for concurrent use.
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

// Prepare gets the authority's signing keys, which also opens a connection to it.
// Its error says why there are none; Appraise will try again.
func (c *Client) Prepare(ctx context.Context, authority attest.Authority) error {
	_, err := c.keys.set(ctx, authority, keysMaxAge)
	return err
}

// exchange is how one kind of evidence is shown, and what a token must say then.
type exchange interface {
	// request is the path and query, and the body; version is the configured one.
	request(version string) (target string, body []byte, err error)
	// open gives the token that the answer holds.
	open(ctx context.Context, authority attest.Authority, answer string) (string, error)
	// check finds a token that is authentic and answers something else.
	check(authority attest.Authority, claims strictjson.Object) error
}

func ask(evidence *attest.Evidence) (exchange, error) {
	if evidence.Guest != nil {
		return newGuestQuestion(evidence), nil
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

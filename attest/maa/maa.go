// Package maa is the conversation with Microsoft Azure Attestation, the
// Verifier of RFC 9334 that Azure's relying parties trust.
//
// [Client.Appraise] posts evidence to an authority and gets back a JSON Web
// Token. It believes the token only after it has verified it: the signature by
// a key that the authority itself publishes, the issuer, the times, and that
// the token is about this evidence: our fresh nonce, our runtime data, our
// report.
//
//	client := maa.New(maa.Config{HTTP: httpclient.New(httpclient.Config{Service: "MAA"})})
//	result, err := client.Appraise(ctx, authority, evidence)
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
	"net/url"
	"time"

	"skr/attest"
	"skr/internal/httpclient"
	"skr/internal/refusal"
)

// defaultAPIVersion is a stable version of the Azure REST API specification
// ("attestation/data-plane") that has SevSnpVm.
const defaultAPIVersion = "2022-08-01"

// Config is what a Client works with.
type Config struct {
	// HTTP asks all authorities.
	HTTP *httpclient.Client
	// APIVersion of the REST API; "" means 2022-08-01.
	APIVersion string
	// UserAgent is sent with evidence; "" means that of HTTP.
	UserAgent string
	// Now is the clock for tokens and cached keys; nil means time.Now.
	Now func() time.Time
}

// Client asks authorities. It is safe for concurrent use.
type Client struct {
	http       *httpclient.Client
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
	return &Client{
		http:       c.HTTP,
		apiVersion: cmp.Or(c.APIVersion, defaultAPIVersion),
		userAgent:  c.UserAgent,
		now:        now,
		keys:       newKeyCache(fetcher{c.HTTP}, now),
	}
}

// Appraise posts the evidence to the authority and returns the verified result.
// The error wraps refusal.BadRequest for runtime data that MAA cannot carry,
// refusal.AttestationRejected, Untrusted, Throttled or Unavailable, or tells
// that ctx ended.
func (c *Client) Appraise(ctx context.Context, authority attest.Authority, evidence *attest.Evidence) (*attest.Result, error) {
	asked, err := newQuestion(evidence)
	if err != nil {
		return nil, err
	}
	body, err := encodeRequest(evidence, asked.nonce)
	if err != nil {
		return nil, err
	}
	answer, err := c.post(ctx, authority, body)
	if err != nil {
		return nil, err
	}
	token, err := readAnswer(authority, answer)
	if err != nil {
		return nil, err
	}
	verified, err := c.verifyToken(ctx, authority, token)
	if err != nil {
		return nil, err
	}
	if err := asked.check(authority, verified.Claims); err != nil {
		return nil, err
	}
	return verified, nil
}

func (c *Client) post(ctx context.Context, authority attest.Authority, body []byte) (*httpclient.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if c.userAgent != "" {
		header.Set("User-Agent", c.userAgent)
	}
	query := url.Values{"api-version": {c.apiVersion}}
	return c.http.Do(ctx, httpclient.Request{
		Method: http.MethodPost,
		URL:    authority.Host().URL() + "/attest/SevSnpVm?" + query.Encode(),
		Header: header,
		Body:   body,
	})
}

// untrusted says that an answer of the authority is not to be believed.
func untrusted(authority attest.Authority, reason string, cause error) error {
	return refusal.Because(refusal.Untrusted, "attestation service "+authority.String()+": "+reason, cause)
}

// Package httpclient is the one way in which skr speaks to a service: the
// Verifier, the vault, the identity provider and the endorsers.
//
// A [Client] belongs to one service. [Client.Do] sends a request whose body is
// a byte slice, so that it can be sent again; reads the answer to a fixed
// bound; never follows a redirect; and repeats what is worth repeating under
// one policy, [Retry], as long as the context allows:
//
//	maa := httpclient.New(httpclient.Config{
//		Service:   "MAA",
//		Transport: httpclient.NewTransport(httpclient.TransportConfig{}),
//	})
//	answer, err := maa.Do(ctx, httpclient.Request{Method: "POST", URL: url, Body: body})
//
// An answer of any 2xx or 4xx status, but for 408 and 429, is returned: what it
// means is for the caller to say. Everything else is a refusal that names the
// service, and in its cause the host, but no query, header or body, for those
// may hold secrets.
//
// The package does not authenticate anybody and does not parse bodies.
package httpclient

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultMaxBody   = 1 << 20
	defaultUserAgent = "skr"
)

// Config describes the client of one service.
type Config struct {
	// Service is the name in error texts: "MAA", "Key Vault", "THIM".
	Service string
	// Transport carries the requests, usually from [NewTransport]; nil means
	// one with the zero [TransportConfig].
	Transport http.RoundTripper
	// Timeout bounds each attempt, from dial to the body's end; 0 means 10 s.
	Timeout time.Duration
	// MaxBody is the largest answer in bytes; 0 means 1 MiB.
	MaxBody int64
	// Retry says how often and when to ask again; a zero field takes the value
	// of [DefaultRetry].
	Retry Retry
	// UserAgent is sent unless the request names its own; "" means "skr".
	UserAgent string
}

// Client asks one service. It is safe for concurrent use.
type Client struct {
	service   string
	transport http.RoundTripper
	timeout   time.Duration
	maxBody   int64
	retry     Retry
	userAgent string

	// Tests replace these two.
	sleep  func(context.Context, time.Duration) error
	jitter func(ceiling time.Duration) time.Duration
}

// New makes a client.
func New(c Config) *Client {
	if c.Transport == nil {
		c.Transport = NewTransport(TransportConfig{})
	}
	return &Client{
		service:   cmp.Or(c.Service, "the service"),
		transport: c.Transport,
		timeout:   cmp.Or(c.Timeout, defaultTimeout),
		maxBody:   cmp.Or(c.MaxBody, defaultMaxBody),
		retry:     c.Retry.withDefaults(),
		userAgent: cmp.Or(c.UserAgent, defaultUserAgent),
		sleep:     sleep,
		jitter:    fullJitter,
	}
}

// Request is what to ask.
type Request struct {
	// Method of HTTP; "" means GET.
	Method string
	// URL is absolute, http or https.
	URL string
	// Header is sent as it is, with a User-Agent added if it has none.
	Header http.Header
	// Body may be sent several times; it is never changed.
	Body []byte
}

// Response is an answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends r, bounded and retried, and returns an answer of any status that is
// neither retried nor a redirect: 2xx and 4xx but for 408 and 429.
//
// Its errors: [refusal.Untrusted] for a redirect, an oversized body or a TLS
// certificate that does not verify, none of them retried; [refusal.Throttled] with the
// service's RetryAfter for 429, [refusal.Unavailable] for 408, 5xx and
// transport errors, both after the last attempt; [refusal.Timeout] where the
// context's deadline passed, and the context's error where it was cancelled.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	target, err := parseURL(r.URL)
	if err != nil {
		return nil, c.errorf(err)
	}
	for try := 1; ; try++ {
		answer, failed := c.attempt(ctx, target, r)
		switch {
		case failed == nil:
			return answer, nil
		case ended(ctx):
			return nil, c.endedError(ctx, target.Host, failed)
		}
		wait, again := c.nextWait(ctx, try, failed)
		if !again {
			return nil, c.refuse(target.Host, try, failed)
		}
		if c.sleep(ctx, wait) != nil {
			return nil, c.endedError(ctx, target.Host, failed)
		}
	}
}

// parseURL keeps the URL out of its errors, as its query may hold a secret.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the request's URL is malformed")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the request's URL is neither http nor https")
	case u.Host == "":
		return nil, errors.New("the request's URL names no host")
	case u.User != nil:
		return nil, errors.New("the request's URL holds user information")
	}
	return u, nil
}

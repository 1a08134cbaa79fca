// Package httpclient is the one way in which skr speaks to a service: the
// Verifier, the vault, the identity provider and the endorsers.
//
// A [Client] belongs to one service. [Client.Do] sends a request whose body is
// a byte slice, so that it can be sent again; reads the answer to a fixed
// bound; never follows a redirect; and repeats what is worth repeating under
// one policy, [Retry], as long as the context allows. A [Circuit] for each host
// leaves one alone that keeps failing, and one that throttles is asked again when
// its own wish, chance and the [Fleet] say so:
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
	"net/http"
	"time"

	"skr/internal/cache"
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
	// Retry sets how often and when to ask again; a zero field takes the value
	// of [DefaultRetry].
	Retry Retry
	// Circuit sets when the client stops asking a failing host; a zero field takes its
	// default. It cannot be turned off.
	Circuit Circuit
	// Fleet sets when to ask a service again that throttles; the zero value is a fleet
	// of one.
	Fleet Fleet
	// Observe is called after each attempt, in the request's goroutine and with its
	// context; nil disables the callback.
	Observe func(context.Context, Exchange)
	// Refused is called for each request that is refused without an attempt, because the
	// circuit is open or the host throttles; Observe is not. nil disables the callback.
	Refused func(context.Context)
	// Jitter draws a wait from zero to the ceiling; nil means at random, which is
	// right everywhere but in a simulation.
	Jitter func(ceiling time.Duration) time.Duration
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
	budget    *budget
	hosts     *hosts
	observe   func(context.Context, Exchange)
	refused   func(context.Context)
	userAgent string

	jitter func(ceiling time.Duration) time.Duration

	sleep func(context.Context, time.Duration) error // tests replace it
}

// New makes a client.
func New(c Config) *Client {
	if c.Transport == nil {
		c.Transport = NewTransport(TransportConfig{})
	}
	if c.Jitter == nil {
		c.Jitter = fullJitter
	}
	retry := c.Retry.withDefaults()
	return &Client{
		service:   cmp.Or(c.Service, "the service"),
		transport: c.Transport,
		timeout:   cmp.Or(c.Timeout, defaultTimeout),
		maxBody:   cmp.Or(c.MaxBody, defaultMaxBody),
		retry:     retry,
		budget:    newBudget(retry.Budget),
		hosts:     newHosts(c.Circuit, c.Fleet, retry.Base, c.Jitter),
		observe:   c.Observe,
		refused:   c.Refused,
		userAgent: cmp.Or(c.UserAgent, defaultUserAgent),
		jitter:    c.Jitter,
		sleep:     sleep,
	}
}

// Do sends r, bounded and retried, and returns an answer of any status that is
// neither retried nor a redirect: 2xx and 4xx but for 408, 429 and those of [Retry].Also.
//
// Its errors: [refusal.Untrusted] for a redirect, an oversized body or a TLS
// certificate that does not verify, none of them retried; [refusal.Throttled] with the
// service's RetryAfter for 429, [refusal.Unavailable] for 408, 5xx and
// transport errors, both after the last attempt; [refusal.Timeout] where the
// context's deadline passed, and the context's error where it was cancelled. A
// host whose circuit is open is not asked: [refusal.Unavailable] at once, with
// the time that is left as RetryAfter. One that throttles is asked when the wait
// is over, or not: [refusal.Throttled] if that is after the deadline.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	request, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, c.errorf(err)
	}
	if err := c.await(ctx, request.URL.Host); err != nil {
		return nil, err
	}
	visit, left := c.hosts.enter(cache.Caller(ctx), request.URL.Host)
	if visit == nil {
		return nil, c.refuseAtOnce(ctx, request.URL.Host, left)
	}
	defer c.hosts.leave(ctx, visit)
	return c.ask(ctx, visit, request)
}

// ask tries until there is an answer or it is not worth trying again.
func (c *Client) ask(ctx context.Context, visit *visit, request *http.Request) (*Response, error) {
	for try := 1; ; try++ {
		answer, failed := c.attempt(ctx, request, try)
		if failed != nil && ended(ctx) {
			return nil, c.endedError(ctx, visit, failed)
		}
		visit.note(failed)
		if failed == nil {
			c.budget.answered()
			c.hosts.answered(visit.host)
			return answer, nil
		}
		wait, again := c.nextWait(ctx, visit, try, failed)
		if !again {
			return nil, c.refuse(visit.host, try, failed)
		}
		if c.sleep(ctx, wait) != nil {
			c.budget.spared()
			return nil, c.endedError(ctx, visit, failed)
		}
		if c.hosts.isOpen(visit.host) { // other requests have opened it
			c.budget.spared()
			return nil, c.refuse(visit.host, try, failed)
		}
	}
}

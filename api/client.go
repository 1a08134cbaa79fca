package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const (
	defaultBaseURL    = "http://localhost:8080"
	defaultAttempts   = 5
	defaultRetryAfter = 30 * time.Second
	maxAnswer         = 1 << 20 // bytes; usual answers are below 64 KiB
)

// Config says where skr listens and how often the client retries.
type Config struct {
	// BaseURL is a loopback URL, an https URL, or "unix:/path" of a socket; ""
	// means "http://localhost:8080". NewClient refuses plain http to another
	// machine, because keys would cross the network in the clear.
	BaseURL string
	// HTTPClient sends the requests; nil means a client without proxy and
	// redirects. A unix socket does not use its Transport.
	HTTPClient *http.Client
	// TokenFile contains the bearer token that identifies the caller, if skr's
	// configuration has an access section. The client reads it for each request.
	// "" means that no token is sent.
	TokenFile string
	// Attempts is the maximum number of attempts, if skr refuses the connection
	// because it is starting, or answers 503 with Retry-After. 0 means 5, 1 means
	// no retry.
	Attempts int
	// MaxRetryAfter is the longest Retry-After that the client waits for. It does
	// not retry after a longer one. 0 means 30 s.
	MaxRetryAfter time.Duration
}

// Client sends requests to skr. It is safe for concurrent use.
//
// If skr refused, its errors wrap an *[Error], for errors.As, and a [Code], for
// errors.Is.
type Client struct {
	base          string
	http          *http.Client
	tokenFile     string
	attempts      int
	maxRetryAfter time.Duration
}

// NewClient makes a client. It does not connect yet.
func NewClient(c Config) (*Client, error) {
	base, sender, err := newSender(cmp.Or(c.BaseURL, defaultBaseURL), c.HTTPClient)
	if err != nil {
		return nil, err
	}
	return &Client{
		base:          base,
		http:          sender,
		tokenFile:     c.TokenFile,
		attempts:      cmp.Or(c.Attempts, defaultAttempts),
		maxRetryAfter: cmp.Or(c.MaxRetryAfter, defaultRetryAfter),
	}, nil
}

// WaitReady polls the status, at growing intervals, until skr is ready or ctx ends.
// Its error then wraps the context's error and contains the last answer.
func (c *Client) WaitReady(ctx context.Context) error {
	for try := 1; ; try++ {
		last := c.ready(ctx)
		if last == nil {
			return nil
		}
		if err := sleep(ctx, doubled(firstLook, try)); err != nil {
			return fmt.Errorf("waiting for skr to be ready: %w (last: %w)", err, last)
		}
	}
}

// Status returns whether skr is ready, and which optional parts it cannot use.
func (c *Client) Status(ctx context.Context) (StatusResponse, error) {
	var status StatusResponse
	_, err := c.once(ctx, http.MethodGet, RouteStatus, nil, &status)
	return status, err
}

func (c *Client) ready(ctx context.Context) error {
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if status.Message != StatusOK {
		return errors.New("skr is not ready")
	}
	return nil
}

// Report returns a raw attestation report over runtimeData, and on Intel TDX a quote.
func (c *Client) Report(ctx context.Context, runtimeData []byte) ([]byte, error) {
	var answer RawResponse
	if _, err := c.post(ctx, RouteRaw, RawRequest{encode(runtimeData)}, &answer); err != nil {
		return nil, err
	}
	if answer.TDQuote != "" {
		quote, err := base64.StdEncoding.DecodeString(answer.TDQuote)
		if err != nil {
			return nil, errors.New("the TDX quote is not base64")
		}
		return quote, nil
	}
	report, err := hex.DecodeString(answer.Report)
	if err != nil {
		return nil, errors.New("the report is not hex")
	}
	return report, nil
}

// Evidence is a decoded [CombinedResponse].
type Evidence struct {
	// Report is the attestation report; nil on Intel TDX.
	Report []byte
	// TDQuote is the TDX quote, which has its own certificates; nil except on Intel TDX.
	TDQuote []byte
	// EndorsedTCB is the TCB of the VCEK, 16 hex digits.
	EndorsedTCB string
	// Endorsements are VCEK, ASK and ARK as PEM.
	Endorsements []byte
	// UVMEndorsements is a COSE_Sign1; nil if the platform provides no usable one.
	UVMEndorsements []byte
	// VirtualTPM is the answer's member, not decoded; nil without a virtual TPM.
	// With Trusted Launch the other members are empty.
	VirtualTPM *VirtualTPM
	// Problems are the optional parts that the evidence lacks because they cannot be used.
	Problems []Problem
}

// Evidence returns a report over runtimeData with its endorsements.
func (c *Client) Evidence(ctx context.Context, runtimeData []byte) (*Evidence, error) {
	var answer CombinedResponse
	if _, err := c.post(ctx, RouteCombined, CombinedRequest{encode(runtimeData)}, &answer); err != nil {
		return nil, err
	}
	evidence := &Evidence{EndorsedTCB: answer.EndorsedTCB, VirtualTPM: answer.VirtualTPM, Problems: answer.Problems}
	for _, part := range []struct {
		text string
		into *[]byte
	}{
		{answer.Evidence, &evidence.Report},
		{answer.TDQuote, &evidence.TDQuote},
		{answer.Endorsements, &evidence.Endorsements},
		{answer.UVMEndorsements, &evidence.UVMEndorsements},
	} {
		decoded, err := base64.StdEncoding.DecodeString(part.text)
		if err != nil {
			return nil, errors.New("a part of the evidence is not base64")
		}
		if len(decoded) > 0 {
			*part.into = decoded
		}
	}
	return evidence, nil
}

// Token returns an attestation token of the authority maaEndpoint over runtimeData.
func (c *Client) Token(ctx context.Context, maaEndpoint string, runtimeData []byte) (Secret, error) {
	var answer MAAResponse
	_, err := c.post(ctx, RouteMAA, MAARequest{MAAEndpoint: maaEndpoint, RuntimeData: encode(runtimeData)}, &answer)
	return answer.Token, err
}

func encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// post sends request, retries if that is worthwhile, and returns the answer's header.
func (c *Client) post(ctx context.Context, route string, request, answer any) (http.Header, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	defer clear(body)
	for try := 1; ; try++ {
		header, err := c.once(ctx, http.MethodPost, route, body, answer)
		wait, again := c.nextWait(try, err)
		if !again {
			return header, err
		}
		if ended := sleep(ctx, wait); ended != nil {
			return nil, fmt.Errorf("waiting to ask again: %w (last: %w)", ended, err)
		}
	}
}

// once sends one request and reads its answer.
func (c *Client) once(ctx context.Context, method, route string, body []byte, answer any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+route, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	if err := c.authorize(request); err != nil {
		return nil, err
	}
	got, err := c.send(request, maxAnswer+1)
	if err != nil {
		return nil, err
	}
	defer clear(got.body)
	return got.header, got.result(answer)
}

// authorize adds the caller's token, if one is configured.
func (c *Client) authorize(request *http.Request) error {
	if c.tokenFile == "" {
		return nil
	}
	token, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return fmt.Errorf("reading the caller's token: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(token)))
	clear(token)
	return nil
}

package httpclient

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
)

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

// newRequest makes what each attempt sends a copy of.
func (c *Client) newRequest(ctx context.Context, r Request) (*http.Request, error) {
	target, err := parseURL(r.URL)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, errors.New("the request's method is malformed")
	}
	if r.Header != nil {
		request.Header = r.Header.Clone()
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", c.userAgent)
	}
	return request, nil
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

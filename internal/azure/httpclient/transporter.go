package httpclient

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// maxRequestBody bounds what an SDK may send; the largest body of ours, an
// attestation request with evidence, is below 100 KiB.
const maxRequestBody = 4 << 20

// Transporter carries the requests of the Azure SDK through a [Client].
type Transporter struct{ client *Client }

// Transporter adapts the client to azcore's policy.Transporter.
func (c *Client) Transporter() Transporter { return Transporter{c} }

// Do sends r as [Client.Do] does. Its errors tell azcore's own retry policy
// that there is nothing left to retry.
func (t Transporter) Do(r *http.Request) (*http.Response, error) {
	body, err := readRequest(r)
	if err != nil {
		return nil, final{t.client.errorf(err)}
	}
	answer, err := t.client.Do(r.Context(), Request{Method: r.Method, URL: r.URL.String(), Header: r.Header, Body: body})
	if err != nil {
		return nil, final{err}
	}
	return buffered(r, answer), nil
}

func readRequest(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close() //nolint:errcheck // it has been read
	body, err := readBounded(r.Body, maxRequestBody)
	if err != nil {
		return nil, fmt.Errorf("reading the request's body: %w", err)
	}
	return body, nil
}

func buffered(r *http.Request, answer *Response) *http.Response {
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", answer.Status, http.StatusText(answer.Status)),
		StatusCode:    answer.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        answer.Header,
		Body:          io.NopCloser(bytes.NewReader(answer.Body)),
		ContentLength: int64(len(answer.Body)),
		Request:       r,
	}
}

// final marks an error as azcore's errorinfo.NonRetriable, so that the two
// retry policies do not multiply.
type final struct{ error }

// NonRetriable is the mark.
func (final) NonRetriable() {}

// Unwrap shows the refusal.
func (f final) Unwrap() error { return f.error }

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// response is an answer, read to its end or to the limit.
type response struct {
	status int
	header http.Header
	body   []byte // may hold a key
}

// send sends the request and reads at most limit bytes of the answer.
func (c *Client) send(request *http.Request, limit int64) (*response, error) {
	got, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking skr: %w", err)
	}
	defer got.Body.Close() //nolint:errcheck // it has been read
	body, err := io.ReadAll(io.LimitReader(got.Body, limit))
	if err != nil {
		clear(body)
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return &response{got.StatusCode, got.Header, body}, nil
}

// result decodes the body into answer if the status is 200, and otherwise returns the refusal.
func (r *response) result(answer any) error {
	switch {
	case len(r.body) > maxAnswer:
		return fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	case r.status != http.StatusOK:
		return r.refusal()
	}
	if key, ok := answer.(*formatted); ok {
		return key.read(r)
	}
	if json.Unmarshal(r.body, answer) != nil {
		return errNotExpected
	}
	return nil
}

// formatted is an answer that is the key itself.
type formatted struct{ key Secret }

// read refuses JSON, which a sidecar without formats answers.
func (f *formatted) read(r *response) error {
	media, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if media == "application/json" {
		return errors.New("the sidecar has no formats: it answered with the JWK in a JSON string")
	}
	f.key = bytes.Clone(r.body)
	return nil
}

var errNotExpected = errors.New("the answer is not the expected JSON")

// refusal returns the Error of an answer whose status is not 200. An answer without a code
// came from another program on that address. Its text is not repeated.
func (r *response) refusal() *Error {
	refused := &Error{}
	if json.Unmarshal(r.body, refused) != nil || refused.Code == "" {
		refused = &Error{Message: "the answer is not skr's"}
	}
	refused.Status = r.status
	refused.RetryAfter = retryAfter(r.header)
	return refused
}

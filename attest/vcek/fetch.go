package vcek

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"skr/internal/refusal"
)

// HTTPClient sends the requests of a source. An [*http.Client] is one. The sources do not
// retry: a client that does returns the last error.
type HTTPClient interface {
	Do(request *http.Request) (*http.Response, error)
}

var _ HTTPClient = (*http.Client)(nil)

// statusError is an answer that says that there is no such document.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("answered with status %d", int(e)) }

// fetch gets a document. It reads one byte more than the parsers accept.
func fetch(ctx context.Context, client HTTPClient, url string, header http.Header) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, errors.New("the URL is malformed")
	}
	if header != nil {
		request.Header = header
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read
	if answer.StatusCode != http.StatusOK {
		return nil, refusedWith(answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	return body, nil
}

// unreachable is [ErrUnavailable], unless err is a refusal or the request's context ended.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return refusal.Because(refusal.Unavailable, "", err)
}

// refusedWith tells statuses that another attempt may change from those that are final, as
// package httpclient does.
func refusedWith(status int) error {
	final := statusError(status)
	switch {
	case status == http.StatusTooManyRequests:
		return refusal.Newf(refusal.Throttled, "%s", final.Error())
	case status == http.StatusRequestTimeout || status >= http.StatusInternalServerError:
		return refusal.Newf(refusal.Unavailable, "%s", final.Error())
	}
	return final
}

package entra

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/internal/secmem"
)

// answer is the last answer during the acquisition of a token.
type answer struct {
	status int    // 0 without an answer
	code   string // the OAuth error code, checked to be a plain word
	aadsts string // "AADSTS700016", the code of Entra
	text   string // the redacted description, for the log and the doctor
	err    error  // of the transport
}

type answerKey struct{}

// withAnswer returns an answer that requests with the returned context fill in. An acquisition sends its
// requests one after the other, so the last one counts.
func withAnswer(ctx context.Context) (context.Context, *answer) {
	last := &answer{}
	return context.WithValue(ctx, answerKey{}, last), last
}

// recorder records each answer on its way to MSAL or azidentity.
type recorder struct{ next policy.Transporter }

var _ policy.Transporter = recorder{}

// Recorded returns a transport whose answers a [Source] reads.
func Recorded(next policy.Transporter) policy.Transporter { return recorder{next} }

// Do records the status and, for an error, the codes and the redacted description.
func (r recorder) Do(request *http.Request) (*http.Response, error) {
	response, err := r.next.Do(request)
	last, ok := request.Context().Value(answerKey{}).(*answer)
	if !ok {
		return response, err
	}
	*last = answer{err: err}
	if err == nil {
		last.status = response.StatusCode
		err = last.parseError(response)
	}
	return response, err
}

var (
	plainWord  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`) })
	aadstsCode = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`AADSTS[0-9]{1,10}`) })
)

// parseError parses the error of RFC 6749 section 5.2, which both Entra and IMDS use. httpclient limits the
// body, which stays readable for azidentity.
func (a *answer) parseError(response *http.Response) error {
	if response.StatusCode < http.StatusBadRequest {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	var parsed struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &parsed) // an error page of a proxy leaves it empty
	if plainWord().MatchString(parsed.Error) {
		a.code = parsed.Error
	}
	a.aadsts = aadstsCode().FindString(parsed.Description)
	a.text = secmem.Excerpt(strings.Join(strings.Fields(parsed.Description), " "), maxBrief)
	return nil
}

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

// answer is the last answer during one acquisition.
type answer struct {
	status int    // 0 without an answer
	code   string // the OAuth error code, checked to be a plain word
	aadsts string // "AADSTS700016", Entra's own code
	said   string // the description, scrubbed, for the log and the doctor
	err    error  // of the transport
}

type answerKey struct{}

// withAnswer lets the returned answer be filled in by requests under ctx.
// An acquisition sends its requests one after the other, so the last one counts.
func withAnswer(ctx context.Context) (context.Context, *answer) {
	seen := &answer{}
	return context.WithValue(ctx, answerKey{}, seen), seen
}

// recorder notes each answer on its way to MSAL or azidentity.
type recorder struct{ next policy.Transporter }

var _ policy.Transporter = recorder{}

// Recorded returns a transport whose answers a [Source] reads.
func Recorded(next policy.Transporter) policy.Transporter { return recorder{next} }

// Do notes the status and, for an error, the codes and the scrubbed description.
func (r recorder) Do(request *http.Request) (*http.Response, error) {
	response, err := r.next.Do(request)
	seen, ok := request.Context().Value(answerKey{}).(*answer)
	if !ok {
		return response, err
	}
	*seen = answer{err: err}
	if err == nil {
		seen.status = response.StatusCode
		err = seen.readCodes(response)
	}
	return response, err
}

var (
	plainWord  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`) })
	aadstsCode = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`AADSTS[0-9]{1,10}`) })
)

// readCodes of RFC 6749 section 5.2, which Entra and IMDS both follow. The
// body is already bounded by httpclient and stays readable for azidentity.
func (a *answer) readCodes(response *http.Response) error {
	if response.StatusCode < http.StatusBadRequest {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &said) // an error page of a proxy leaves it empty
	if plainWord().MatchString(said.Error) {
		a.code = said.Error
	}
	a.aadsts = aadstsCode().FindString(said.Description)
	a.said = secmem.Excerpt(strings.Join(strings.Fields(said.Description), " "), maxBrief)
	return nil
}

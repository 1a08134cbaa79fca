package entra

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
)

// updated is an instance metadata service. It answers with a status until its update ends
// and then with tokens.
type updated struct {
	status int
	ends   time.Time
	asked  int
}

func (u *updated) RoundTrip(r *http.Request) (*http.Response, error) {
	u.asked++
	if time.Now().Before(u.ends) {
		return answered(r, u.status, `{"error":"gone"}`), nil
	}
	expires := time.Now().Add(24 * time.Hour).Unix()
	return answered(r, http.StatusOK, fmt.Sprintf(`{"access_token":%q,"expires_on":"%d","resource":"https://r","token_type":"Bearer"}`, accessToken, expires)), nil
}

// Do lets updated serve as azcore's transport too.
func (u *updated) Do(r *http.Request) (*http.Response, error) { return u.RoundTrip(r) }

func answered(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func askDuring(t *testing.T, u *updated, limit time.Duration) (err error) {
	t.Helper()
	source, err := New(Config{Timeout: limit, IMDS: httpclient.New(httpclient.Config{Service: "IMDS", Transport: u, Retry: IMDSRetry()})})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.AccessToken(t.Context(), audience(t))
	return err
}

// Requests are retried during an update of IMDS, in which it answers 404 or 410.
func TestUpdateIsWaitedFor(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusGone} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &updated{status: status, ends: time.Now().Add(3 * time.Minute)}
				if err := askDuring(t, u, 5*time.Minute); err != nil || u.asked > 60 {
					t.Errorf("after %d requests: %v", u.asked, err)
				}
			})
		})
	}
}

// If the request ends before the update, the error says so and that a retry may succeed.
func TestUpdateOutlastsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := askDuring(t, &updated{status: http.StatusGone, ends: began.Add(time.Hour)}, 20*time.Second)
		checkRefusal(t, err, refusal.Unavailable, "is being updated")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the request took %s", took)
		}
		err = askDuring(t, &updated{status: http.StatusGone, ends: began.Add(24 * time.Hour)}, time.Hour)
		checkRefusal(t, err, refusal.Unavailable, "is being updated")
		if took := time.Since(began); took > 4*time.Minute {
			t.Errorf("the request took %s", took)
		}
	})
}

// retries returns the number of retries of a client that always gets the status.
func retries(t *testing.T, status int, ask func(t *testing.T, u *updated) error) int {
	t.Helper()
	u := &updated{status: status}
	synctest.Test(t, func(t *testing.T) {
		u.ends = time.Now().Add(12 * time.Hour)
		if err := ask(t, u); err == nil && status >= http.StatusBadRequest {
			t.Errorf("no error for status %d", status)
		}
	})
	return u.asked - 1
}

// We retry the statuses that azidentity retries for IMDS, and 408 too.
func TestIMDSStatusesAreAzidentitys(t *testing.T) {
	for status := 400; status < 512; status++ {
		theirs := retries(t, status, func(t *testing.T, u *updated) error {
			credential, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
				ClientOptions: azcore.ClientOptions{Transport: u}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{audience(t) + "/.default"}})
			return err
		})
		ours := retries(t, status, func(t *testing.T, u *updated) error { return askDuring(t, u, time.Hour) })
		if (theirs > 0) != (ours > 0) && status != http.StatusRequestTimeout {
			t.Errorf("for status %d azidentity retries IMDS %d times, and skr %d times", status, theirs, ours)
		}
	}
}

// We retry the statuses that azcore retries for any service, equally often.
func TestStatusesAreAzcores(t *testing.T) {
	for status := 400; status < 512; status++ {
		theirs := retries(t, status, func(t *testing.T, u *updated) error {
			pipeline := runtime.NewPipeline("test", "", runtime.PipelineOptions{}, &policy.ClientOptions{Transport: u})
			request, err := runtime.NewRequest(t.Context(), http.MethodGet, "https://vault.test/")
			if err != nil {
				t.Fatal(err)
			}
			answer, err := pipeline.Do(request)
			if err == nil && answer.StatusCode >= http.StatusBadRequest {
				err = errors.New(answer.Status)
			}
			return err
		})
		ours := retries(t, status, func(t *testing.T, u *updated) error {
			answer, err := httpclient.New(httpclient.Config{Service: "vault", Transport: u}).Do(t.Context(), httpclient.Request{URL: "https://vault.test/"})
			if err == nil && answer.Status >= http.StatusBadRequest {
				err = fmt.Errorf("status %d", answer.Status)
			}
			return err
		})
		if theirs != ours {
			t.Errorf("for status %d azcore retries %d times, and skr %d times", status, theirs, ours)
		}
	}
}

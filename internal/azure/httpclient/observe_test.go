package httpclient

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/internal/refusal"
)

type callerKey struct{}

const guid = "0b6a3c2e-6f0f-4b7e-9f60-9a0d9b2f7a11"

func named(status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"X-Ms-Request-Id": {guid}}, Body: io.NopCloser(body)}
}

func TestObserve(t *testing.T) {
	const took = time.Second
	for _, test := range []struct {
		name    string
		answers []*http.Response // in turn; nil means a broken connection
		limit   time.Duration    // caller's deadline; 0 means none
		want    []Exchange       // without times
	}{
		{"an answer", []*http.Response{named(200, strings.NewReader(""))}, 0, []Exchange{{Status: 200, RequestID: guid}}},
		{"not found", []*http.Response{named(404, strings.NewReader(""))}, 0, []Exchange{{Status: 404, RequestID: guid}}},
		{"retries", []*http.Response{nil, named(503, strings.NewReader("")), answerOf(204)}, 0, []Exchange{
			{Kind: refusal.Unavailable},
			{Kind: refusal.Unavailable, Status: 503, RequestID: guid, Retry: true},
			{Status: 204, Retry: true},
		}},
		{"a body too large", []*http.Response{named(200, strings.NewReader("12345"))}, 0, []Exchange{{Kind: refusal.Untrusted, Status: 200, RequestID: guid}}},
		{"the caller's deadline", []*http.Response{nil}, took / 2, []Exchange{{Kind: refusal.Timeout}}},
		{"the caller cancels", []*http.Response{nil}, -took / 2, []Exchange{{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := limited(context.WithValue(t.Context(), callerKey{}, "caller"), test.limit)
				defer cancel()
				answers := test.answers
				var seen []Exchange
				client := newSteady(Config{
					MaxBody: 4, Retry: Retry{Attempts: 3},
					Transport: roundTrip(func(*http.Request) (*http.Response, error) {
						time.Sleep(took)
						answer := answers[0]
						answers = answers[1:]
						if answer == nil {
							return nil, io.EOF
						}
						return answer, nil
					}),
					Observe: func(ctx context.Context, e Exchange) {
						if ctx.Value(callerKey{}) != "caller" || e.End.Sub(e.Start) != took || !e.End.Equal(time.Now()) {
							t.Errorf("observed %+v with %v", e, ctx)
						}
						e.Start, e.End = time.Time{}, time.Time{}
						seen = append(seen, e)
					},
				})
				_ = ask(ctx, client, "maa.example")
				if diff := cmp.Diff(test.want, seen, cmp.Comparer(func(a, b *refusal.Kind) bool { return a == b })); diff != "" {
					t.Errorf("exchanges (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// limited ends ctx by its deadline or, if d is negative, by cancellation.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d > 0 {
		return context.WithTimeout(ctx, d)
	}
	ctx, cancel := context.WithCancel(ctx)
	if d < 0 {
		time.AfterFunc(-d, cancel)
	}
	return ctx, cancel
}

// TestRefusedIsCounted checks that requests that are not sent are not observed.
func TestRefusedIsCounted(t *testing.T) {
	observed, refused := 0, 0
	client := newSteady(Config{
		Transport: &upstream{},
		Observe:   func(context.Context, Exchange) { observed++ },
		Refused:   func(context.Context) { refused++ },
	})
	for range defaultFailures + 3 {
		_ = ask(t.Context(), client, "maa.example")
	}
	_, _ = client.Do(t.Context(), Request{URL: "https://maa.example/", Method: "B AD"})
	if observed != defaultFailures || refused != 3 {
		t.Errorf("%d observed, %d refused", observed, refused)
	}
}

func FuzzRequestID(f *testing.F) {
	for _, text := range []string{guid, "", "a", strings.Repeat("a", maxRequestID), strings.Repeat("a", maxRequestID+1), "a\nb", "é", "a b", `"`,
		guid + ";drop"} {
		f.Add(text)
	}
	form := regexp.MustCompile(`^[A-Za-z0-9-]{1,64}\z`)
	f.Fuzz(func(t *testing.T, text string) {
		want := ""
		if form.MatchString(text) {
			want = text
		}
		if got := requestID(http.Header{"X-Ms-Request-Id": {text}}); got != want {
			t.Errorf("%q is read as %q", text, got)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"", "0", "120", "-1", "9223372036854775807", "Fri, 01 May 9999 11:00:00 GMT", "Friday, 01-May-26 12:00:00 GMT"} {
		f.Add(text)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms"} {
			if wait := retryAfter(http.Header{name: {text}}, now); wait < 0 || wait > longestWait {
				t.Errorf("%s %q gives a wait of %v", name, text, wait)
			}
		}
	})
}

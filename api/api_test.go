package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/api"
)

const secretText = "hunter2-do-not-print"

func TestSecretsDoNotPrint(t *testing.T) {
	request := api.ReleaseRequest{KID: "demo", AccessToken: api.Secret(secretText)}
	response := api.ReleaseResponse{Key: api.Secret(secretText)}
	token := api.MAAResponse{Token: api.Secret(secretText)}
	key := api.Key{JWK: api.Secret(secretText)}
	var logged strings.Builder
	for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&logged, nil)), slog.New(slog.NewTextHandler(&logged, nil))} {
		logger.Info("x", "a", request, "b", response, "c", token, "d", request.AccessToken, "e", key)
	}
	texts := []string{logged.String()}
	for _, value := range []any{request, &request, response, &response, token, key, &key, request.AccessToken, []any{request}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
	}
	for _, text := range texts {
		for _, form := range []string{secretText, fmt.Sprintf("%x", secretText), fmt.Sprintf("%X", secretText), fmt.Sprintf("%d", []byte(secretText))} {
			if strings.Contains(text, form) {
				t.Errorf("a secret was printed: %s", text)
			}
		}
		if !strings.Contains(text, "redacted") {
			t.Errorf("%s has no redaction", text)
		}
	}
}

func TestSecretsTravel(t *testing.T) {
	for _, value := range []string{"", "plain", `{"kty":"oct","k":"a\\b"}`, "line\nend\x00\x1f", "ünï", "\u2028"} {
		key := api.ReleaseResponse{Key: api.Secret(value)}
		marshalled, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{marshalled, key.AppendJSON(nil)} {
			var plain map[string]string
			var back api.ReleaseResponse
			if err := errors.Join(json.Unmarshal(text, &plain), json.Unmarshal(text, &back)); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if plain["key"] != value || string(back.Key) != value {
				t.Errorf("%q is encoded as %s", value, text)
			}
		}
	}
	if _, err := json.Marshal(api.Secret("\xff")); err == nil {
		t.Error("a secret that is not UTF-8 was marshalled")
	}
	var s api.Secret
	if err := json.Unmarshal([]byte(`["`+secretText+`"]`), &s); err == nil || strings.Contains(err.Error(), secretText) {
		t.Errorf("reading an array as a secret: %v", err)
	}
	without, _ := json.Marshal(api.ReleaseRequest{KID: "demo"})
	if strings.Contains(string(without), "access_token") {
		t.Errorf("an empty access token is sent: %s", without)
	}
}

func TestAppendJSONLeavesNoCopy(t *testing.T) {
	key := api.ReleaseResponse{Key: api.Secret(strings.Repeat(`"`, 4096))}
	if n := testing.AllocsPerRun(10, func() { _ = key.AppendJSON(nil) }); n != 1 {
		t.Errorf("encoding a key allocates %v times; each allocation but the last is a copy of the key", n)
	}
	key.Wipe()
	if string(key.Key) != strings.Repeat("\x00", 4096) {
		t.Error("the key was not wiped")
	}
}

func TestCodes(t *testing.T) {
	for _, code := range api.Codes() {
		if status := code.HTTPStatus(); status < 400 || status > 599 {
			t.Errorf("%s has status %d", code, status)
		}
	}
	if api.Code("new").HTTPStatus() != 500 {
		t.Error("an unknown code is not 500")
	}
}

// answers serves the given handlers in turn and repeats the last one.
func answers(t *testing.T, handlers ...http.HandlerFunc) (*api.Client, *int) {
	t.Helper()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := handlers[min(asked, len(handlers)-1)]
		asked++
		next(w, r)
	}))
	t.Cleanup(server.Close)
	client, err := api.NewClient(api.Config{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client, &asked
}

func say(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name string
		say  http.HandlerFunc
		want api.Error
	}{
		{"ours", say(403, `{"error":"release rejected: policy","code":"release_rejected","request_id":"r1"}`),
			api.Error{Message: "release rejected: policy", Code: api.ReleaseRejected, RequestID: "r1", Status: 403}},
		{"another program's", say(502, "<html>"+secretText), api.Error{Message: "the answer is not skr's", Status: 502}},
		{"error without code", say(403, `{"error":"forbidden"}`), api.Error{Message: "the answer is not skr's", Status: 403}},
		{"other 2xx", say(202, `{"key":"`+secretText+`"}`), api.Error{Message: "the answer is not skr's", Status: 202}},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
			api.Error{Message: "the answer is not skr's", Status: 307}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, asked := answers(t, test.say)
			_, err := client.Release(t.Context(), api.ReleaseRequest{KID: "demo", AccessToken: api.Secret(secretText)})
			refused, ok := errors.AsType[*api.Error](err)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if diff := cmp.Diff(test.want, *refused); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if test.want.Code != "" && !errors.Is(err, test.want.Code) || errors.Is(err, api.KeyNotFound) {
				t.Errorf("errors.Is does not match the code of %v", err)
			}
			if *asked != 1 || strings.Contains(err.Error(), secretText) {
				t.Errorf("%d requests; error %v", *asked, err)
			}
		})
	}
}

func TestUnusableAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON": secretText, "not hex": `{"report":"zz` + secretText + `"}`, "too large": strings.Repeat(" ", 1<<20) + "{}",
	} {
		client, _ := answers(t, say(200, body))
		if _, err := client.Report(t.Context(), nil); err == nil || strings.Contains(err.Error(), secretText) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	client, _ := answers(t, say(200, `{"evidence":"!"}`))
	if _, err := client.Evidence(t.Context(), nil); err == nil {
		t.Error("evidence that is not base64 was accepted")
	}
}

func TestBaseURL(t *testing.T) {
	for text, good := range map[string]bool{
		"": true, "http://localhost:8080": true, "http://127.0.0.1:1/": true, "http://[::1]:1": true, "unix:/run/skr.sock": true,
		"https://skr.test": true, "http://skr.test": false, "http://10.0.0.1:8080": false, "ftp://localhost": false,
		"http://user:pw@localhost": false, "localhost:8080": false, "http://": false, "http://localhost?x": false, "http://%zz": false,
	} {
		if _, err := api.NewClient(api.Config{BaseURL: text}); (err == nil) != good {
			t.Errorf("%q: error is %v", text, err)
		}
	}
}

// scripted is a transport with prepared answers. It runs inside synctest.
type scripted struct {
	steps []func() (*http.Response, error)
	asked []time.Time
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	s.asked = append(s.asked, time.Now())
	return s.steps[min(len(s.asked), len(s.steps))-1]()
}

func refuseConnection() (*http.Response, error) {
	_, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", "127.0.0.1:1")
	return nil, err
}

func busy(retryAfter string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		recorder := httptest.NewRecorder()
		if retryAfter != "" {
			recorder.Header().Set("Retry-After", retryAfter)
		}
		recorder.WriteHeader(http.StatusServiceUnavailable)
		_, _ = recorder.WriteString(`{"error":"throttled","code":"throttled","request_id":"r"}`)
		return recorder.Result(), nil
	}
}

func answer(body string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		recorder := httptest.NewRecorder()
		_, _ = recorder.WriteString(body)
		return recorder.Result(), nil
	}
}

func TestRetries(t *testing.T) {
	done := answer(`{"report":"00"}`)
	type steps = []func() (*http.Response, error)
	tests := []struct {
		name  string
		steps steps
		asked int
		fails bool
		least time.Duration
	}{
		{"at once", steps{done}, 1, false, 0},
		{"starting", steps{refuseConnection, refuseConnection, done}, 3, false, 150 * time.Millisecond},
		{"never starts", steps{refuseConnection}, 5, true, 0},
		{"Retry-After", steps{busy("3"), done}, 2, false, 3 * time.Second},
		{"Retry-After without end", steps{busy("1")}, 5, true, 4 * time.Second},
		{"Retry-After too long", steps{busy("31"), done}, 1, true, 0},
		{"unavailable without Retry-After", steps{busy(""), done}, 1, true, 0},
		{"Retry-After is a date", steps{busy("Fri, 31 Dec 1999 23:59:59 GMT"), done}, 1, true, 0},
		{"broken connection", steps{func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, done}, 1, true, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := &scripted{steps: test.steps}
				client, err := api.NewClient(api.Config{HTTPClient: &http.Client{Transport: script}})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				_, err = client.Report(t.Context(), []byte("x"))
				if (err != nil) != test.fails || len(script.asked) != test.asked {
					t.Errorf("%d requests, want %d; error %v", len(script.asked), test.asked, err)
				}
				if took := time.Since(begin); took < test.least {
					t.Errorf("took %v, want at least %v", took, test.least)
				}
			})
		})
	}
}

func TestRetryEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		script := &scripted{steps: []func() (*http.Response, error){busy("20")}}
		client, _ := api.NewClient(api.Config{HTTPClient: &http.Client{Transport: script}})
		_, err := client.Report(ctx, []byte("x"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, api.Throttled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestWaitReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notReady := answer(`{"message":"Status NOT OK"}`)
		script := &scripted{steps: []func() (*http.Response, error){
			refuseConnection, refuseConnection, notReady, busy(""), notReady, notReady, answer(`{"message":"Status OK"}`)}}
		client, _ := api.NewClient(api.Config{HTTPClient: &http.Client{Transport: script}})
		if err := client.WaitReady(t.Context()); err != nil || len(script.asked) != 7 {
			t.Errorf("%d requests, error %v", len(script.asked), err)
		}
		for i := 1; i < len(script.asked); i++ {
			if gap := script.asked[i].Sub(script.asked[i-1]); gap < 5*time.Millisecond<<(i-1) || gap > 2*time.Second {
				t.Errorf("the next request came after %v", gap)
			}
		}
	})
}

func TestWaitReadyEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		script := &scripted{steps: []func() (*http.Response, error){answer(`{"message":"Status NOT OK"}`)}}
		client, _ := api.NewClient(api.Config{HTTPClient: &http.Client{Transport: script}})
		err := client.WaitReady(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not ready") {
			t.Errorf("error is %v", err)
		}
		if len(script.asked) > 60 {
			t.Errorf("%d requests in a minute", len(script.asked))
		}
	})
}

func TestUnixSocketThatIsNotThere(t *testing.T) {
	client, err := api.NewClient(api.Config{BaseURL: "unix:" + filepath.Join(t.TempDir(), "absent"), Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Report(t.Context(), []byte("x")); err == nil {
		t.Error("no error for an absent socket")
	}
}

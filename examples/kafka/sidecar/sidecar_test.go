package sidecar_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"skr/api"
	"skr/examples/kafka/environment"
	"skr/examples/kafka/sidecar"
)

// answers are a sidecar's answers in turn; the last repeats. Package consumer
// tests with a real sidecar.
type answers []func() (*http.Response, error)

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	next := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	return next()
}

func absent() (*http.Response, error) { return nil, syscall.ECONNREFUSED }

func says(status int, body any) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		text, err := json.Marshal(body)
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text))}, err
	}
}

type refusal struct {
	reason, code, id string
	at               time.Duration
}

func ask(ctx context.Context, t *testing.T, said answers) (*rsa.PrivateKey, []refusal, string, error) {
	t.Helper()
	client, err := api.NewClient(api.Config{HTTPClient: &http.Client{Transport: &said}, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var refusals []refusal
	began := time.Now()
	key, err := sidecar.Asker{
		Client: client, URL: "http://localhost:8080", Request: api.ReleaseRequest{KID: "demo"},
		Refused: func(reason, code, id string) {
			refusals = append(refusals, refusal{reason, code, id, time.Since(began)})
		},
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}.Key(ctx)
	return key.Private, refusals, log.String(), err
}

func TestKeyComesLate(t *testing.T) {
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: pair})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		key, refusals, log, err := ask(t.Context(), t, answers{
			absent,
			says(http.StatusForbidden, api.Error{Message: "release rejected: the policy", Code: api.ReleaseRejected, RequestID: "r-7"}),
			says(http.StatusOK, api.ReleaseResponse{Key: api.Secret(`{"kty":"EC"}`)}),
			says(http.StatusOK, api.ReleaseResponse{Key: api.Secret(jwk)}),
		})
		if err != nil || !key.Equal(pair) {
			t.Fatalf("got %v", err)
		}
		if len(refusals) != 3 || !strings.HasPrefix(refusals[0].reason, "no sidecar answers at http://localhost:8080: the container skr is missing") ||
			refusals[1].reason != "release rejected: the policy" || refusals[1].code != "release_rejected" || refusals[1].id != "r-7" ||
			!strings.Contains(refusals[2].reason, "SkrClientKID") {
			t.Errorf("the refusals are %+v", refusals)
		}
		for _, secret := range []string{pair.D.String(), string(jwk), `"d"`} {
			if strings.Contains(log, secret) {
				t.Errorf("the log has the key: %s", log)
			}
		}
	})
}

// TestPace checks that it asks for ever, at least every 30 s and never without
// a pause.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, refusals, _, err := ask(ctx, t, answers{absent})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		for i := 1; i < len(refusals); i++ {
			if pause := refusals[i].at - refusals[i-1].at; pause < 500*time.Millisecond || pause > 30*time.Second {
				t.Errorf("attempt %d came after %s", i, pause)
			}
		}
		if n := len(refusals); n < 120 || n > 260 {
			t.Errorf("%d attempts in an hour", n)
		}
	})
}

func TestEnvironment(t *testing.T) {
	good := map[string]string{
		"SkrClientKID": "kafka-encryption-demo", "SkrClientMAAEndpoint": "https://SharedEUS2.eus2.test.attest.azure.net/",
		"SkrClientAKVEndpoint": "demo.vault.localhost:8443",
	}
	read := func(name, value string) (sidecar.Asker, error) {
		v := environment.New(func(asked string) string {
			if asked == name {
				return value
			}
			return good[asked]
		})
		return sidecar.FromEnvironment(v, slog.New(slog.DiscardHandler)), v.Err()
	}
	asker, err := read("SkrClientURL", "")
	if err != nil || asker.Request.MAAEndpoint != "sharedeus2.eus2.test.attest.azure.net" || asker.URL != "http://localhost:8080" {
		t.Errorf("got %+v and %v", asker, err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"SkrClientKID", "", "is not set"},
		{"SkrClientKID", "a_key", "letters, digits and hyphens"},
		{"SkrClientMAAEndpoint", "", "is not set"},
		{"SkrClientMAAEndpoint", "http://a.b", "is not a host"},
		{"SkrClientMAAEndpoint", "a.b:0", "is not a host"},
		{"SkrClientAKVEndpoint", "", "is not set"},
		{"SkrClientAKVEndpoint", "myKeyVault", "is not a host"},
		{"SkrClientAKVEndpoint", "v.vault.azure.net/keys/x", "is not a host"},
		{"SkrClientURL", "http://192.0.2.1:8080", "in the clear"},
	} {
		if _, err := read(c.name, c.value); err == nil || !strings.HasPrefix(err.Error(), c.name+": ") ||
			!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s=%s: got %v, want %q", c.name, c.value, err, c.want)
		}
	}
}

// TestKeyIsNamed checks that the key's name and version come from the header,
// or from the JWK's kid with older sidecars.
func TestKeyIsNamed(t *testing.T) {
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const id = "https://contoso.vault.azure.net/keys/demo/0123"
	for name, c := range map[string]struct{ header, kid, want string }{
		"header":         {id, "", "demo 0123"},
		"header and kid": {id, "https://contoso.vault.azure.net/keys/other/4567", "demo 0123"},
		"kid":            {"", id, "demo 0123"},
		"neither":        {"", "", "asked "},
		"no URL":         {"", "demo/0123", "demo 0123"},
	} {
		jwk, err := jose.JSONWebKey{Key: pair, KeyID: c.kid}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		said := answers{func() (*http.Response, error) {
			response, err := says(http.StatusOK, api.ReleaseResponse{Key: jwk})()
			if c.header != "" {
				response.Header.Set(api.HeaderKeyID, c.header)
			}
			return response, err
		}}
		client, err := api.NewClient(api.Config{HTTPClient: &http.Client{Transport: &said}, Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		key, err := sidecar.Asker{
			Client: client, Request: api.ReleaseRequest{KID: "asked"},
			Refused: func(reason, _, _ string) { t.Errorf("%s: refused with %s", name, reason) }, Log: slog.New(slog.DiscardHandler),
		}.Key(t.Context())
		if got := key.Name + " " + key.Version; err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
		if text := fmt.Sprintf("%v %+v %#v", key, key, key); strings.Contains(text, pair.D.String()) {
			t.Error("a key prints its secret")
		}
	}
}

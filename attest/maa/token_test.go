package maa

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/internal/jose/jwk"
)

// A token from elsewhere is verified with the keys that the authority publishes or with
// keys from a file. Each fault has its own error.
func TestVerify(t *testing.T) {
	s := newService(t)
	token := tokenOf(t, s)
	published, err := s.client.Keys(t.Context(), s.authority)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jwk.Set{Keys: s.keys})
	if err != nil {
		t.Fatal(err)
	}
	read := func(text []byte) *Keys {
		t.Helper()
		keys, err := ParseKeys(text)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificateOf(t, s.keys[1])})
	other := authorityOf(t, "other.example")
	for _, c := range []struct {
		name string
		err  error
		want []error
	}{
		{"published", token.Verify(s.authority, published, now), nil},
		{"JWKS", token.Verify(s.authority, read(set), now), nil},
		{"certificate", token.Verify(s.authority, read(certificate), now), nil},
		{"no keys", token.Verify(s.authority, nil, now), []error{ErrSignature}},
		{"other keys", token.Verify(s.authority, &Keys{[]jwk.Key{plain(t, keyName, &rsaKeys()[1].PublicKey)}}, now), []error{ErrSignature}},
		{"other authority", token.Verify(other, published, now), []error{ErrIssuer}},
		{"later", token.Verify(s.authority, published, now.Add(9*time.Hour)), []error{ErrTimes}},
		{"all wrong", token.Verify(other, nil, now.Add(-time.Hour)), []error{ErrSignature, ErrIssuer, ErrTimes}},
	} {
		for _, sentinel := range []error{ErrSignature, ErrIssuer, ErrTimes} {
			if got := errors.Is(c.err, sentinel); got != slices.Contains(c.want, sentinel) {
				t.Errorf("%s: errors.Is(err, %q) = %v: %v", c.name, sentinel, got, c.err)
			}
		}
		if (c.err == nil) != (c.want == nil) {
			t.Errorf("%s: error %v", c.name, c.err)
		}
	}
	if token.Claims()["iss"] != s.authority.Issuer() || !json.Valid(token.Payload()) {
		t.Errorf("claims %v, payload %s", token.Claims(), token.Payload())
	}
}

func certificateOf(t *testing.T, key jwk.Key) []byte {
	t.Helper()
	var der []byte
	if err := json.Unmarshal([]byte(`"`+key.X5c[0]+`"`), &der); err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseKeysRefuses(t *testing.T) {
	block := func(kind string) string { return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte{1}})) }
	for _, text := range []string{"", "x", "{}", `{"keys":[],"keys":[]}`, block("PUBLIC KEY"), block("CERTIFICATE") + "x"} {
		if keys, err := ParseKeys([]byte(text)); err == nil {
			t.Errorf("ParseKeys(%q) = %v", text, keys)
		}
	}
}

// roundTrip answers in place of the network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(status int, header http.Header) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme+"://"+r.URL.Host != "https://maa.attest.localhost" {
			status, header = http.StatusOK, http.Header{}
		}
		recorder := httptest.NewRecorder()
		for name, values := range header {
			recorder.Header()[name] = values
		}
		recorder.WriteHeader(status)
		_, _ = recorder.WriteString(`{"keys":[]}`)
		answer := recorder.Result()
		answer.Request = r
		return answer, nil
	})}
}

// The client works over a plain http.Client and classifies its failures like those of a
// retrying client. An answer after a redirect is not the authority's.
func TestPlainHTTPClient(t *testing.T) {
	authority := authorityOf(t, "maa.attest.localhost")
	offline := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("offline") })}
	for name, c := range map[string]struct {
		http *http.Client
		want error
	}{
		"throttled":      {answering(http.StatusTooManyRequests, nil), ErrThrottled},
		"failing":        {answering(http.StatusServiceUnavailable, nil), ErrUnavailable},
		"slow":           {answering(http.StatusRequestTimeout, nil), ErrUnavailable},
		"no such answer": {answering(http.StatusForbidden, nil), ErrUntrusted},
		"another host":   {answering(http.StatusFound, http.Header{"Location": {"https://elsewhere.example/keys"}}), ErrUntrusted},
		"no more TLS":    {answering(http.StatusFound, http.Header{"Location": {"http://maa.attest.localhost/keys"}}), ErrUntrusted},
		"offline":        {offline, ErrUnavailable},
	} {
		_, err := New(Config{HTTP: c.http}).Keys(t.Context(), authority)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if strings.HasPrefix(name, "another") && !strings.Contains(err.Error(), "redirects to another host") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(Config{HTTP: offline}).Keys(ended, authority); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("cancelled: error %v", err)
	}
}

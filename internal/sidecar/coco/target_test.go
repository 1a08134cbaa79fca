package coco

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestParseQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                         "",
		"a=b":                      "b",
		"a":                        "",
		"a=b&a=c":                  "c",
		"a=b+c%20d%2B":             "b c d+",
		"a=%":                      "%",
		"a=%4":                     "%4",
		"a=%zz%41":                 "%zzA",
		"%61=b=c":                  "b=c",
		"&&a=b&":                   "b",
		"a=%ff":                    "�",
		"a=b;c=d":                  "b;c=d",
		"a=%E2%82%AC":              "€",
		"b=1&a=" + "%41%4a%4A%7e~": "AJJ~~",
	} {
		if got := parseQuery(raw)["a"]; got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

// FuzzTarget: every request is for one route with a JSON object, or has an answer with a text of
// guest-components.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{
		"/cdh/resource/default/key/1", "/aa/evidence?runtime_data=xxxx", "/aa/token?token_type=kbs", "/info", "//cdh/resource/a/b/c",
		"/aa/evidence?runtime_data=QQ&encoding=base64", "/aa/evidence?runtime_data=Q%0AQ&encoding=base64", "/cdh/resource/%2e%2e/%00/a?x=%", "/aa", "/aa/aael",
	} {
		f.Add(http.MethodGet, target, "")
	}
	f.Add(http.MethodPost, "/aa/aael", `{"domain":"a","operation":"b","content":"c"}`)
	h := New(Config{Resources: true})
	f.Fuzz(func(t *testing.T, method, target, body string) {
		parsed, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: method, URL: parsed, Body: http.NoBody, Header: http.Header{}}
		if body != "" {
			r = httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(body))
			r.Method, r.URL = method, parsed
		}
		got, refused := h.parse(httptest.NewRecorder(), r)
		switch {
		case refused != nil && (refused.status < 400 || len(refused.body) == 0 || refused.media != ""):
			t.Errorf("refused with %d %q", refused.status, refused.body)
		case refused == nil && got.route != RouteInfo && !json.Valid(got.body):
			t.Errorf("%s gets %q", got.route, got.body)
		}
		if refused == nil && got.route == RouteEvidence {
			var data struct {
				RuntimeData string `json:"runtime_data"`
			}
			if err := json.Unmarshal(got.body, &data); err != nil {
				t.Fatal(err)
			}
			if _, err := base64.StdEncoding.DecodeString(data.RuntimeData); err != nil {
				t.Errorf("runtime data %q", data.RuntimeData)
			}
		}
	})
}

// FuzzQuery compares with net/url where that accepts the query.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"a=b", "a=%ff", "a=+&b=%2", "a&b=c=d"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := parseQuery(raw)
		want, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		for name, values := range want {
			name, last := strings.ToValidUTF8(name, "�"), strings.ToValidUTF8(values[len(values)-1], "�")
			if len(want) == 1 && got[name] != last {
				t.Errorf("%q: %q is %q, want %q", raw, name, got[name], last)
			}
		}
	})
}

// FuzzSealed: whatever the text is, nothing is read of it without the signature of the signer.
func FuzzSealed(f *testing.F) {
	f.Add("sealed.fakejwsheader.e30.fakesignature")
	f.Add("sealed.eyJhbGciOiJub25lIn0.e30.")
	f.Add("sealed..." + strings.Repeat("A", 100))
	signer, err := parseSigner([]byte(publicJWK))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseSealed([]byte(text), signer); err == nil {
			t.Errorf("%q is accepted: %+v", text, s)
		}
	})
}

// publicJWK is a P-256 key of RFC 7515, appendix A.3.
const publicJWK = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`

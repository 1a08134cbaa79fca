package conformance

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// identifiers match what the report must not have.
var identifiers = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}|eyJ[A-Za-z0-9_-]{20}`)

// FuzzAnswer describes and compares any answer. The description has no identifier and no token, in names
// of members either.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"code":"KeyNotFound","message":"Caller: appid=01234567-89ab-cdef-0123-456789abcdef"}}`,
		`{"0123456789abcdef0123456789abcdef":{"a":[1,{"b":null},"x"]}}`, `{"key":{"n":"AAAA","key_ops":[]}}`, `[[[]]]`, `{"value":[{}]}`, `"x"`, `{"":1}`,
		`{"error":{"code":"eyJhbGciOiJub25lIn0eyJhbGciOiJub25lIn0"}}`, "{\"a\xff\":1}", `{"keys":[{"x5c":["AAAA"],"kid":1}]}`,
	} {
		f.Add(seed)
	}
	s := &session{host: "contoso.vault.azure.net", names: []string{"contoso"}, suffix: "-"}
	wants := []want{refused(http.StatusNotFound, "KeyNotFound").inside("x").saying("y"), {members: bundleShape + " key.n:b64(3) value[].kid:list"}}
	f.Fuzz(func(t *testing.T, body string) {
		a := &answer{http.StatusNotFound, http.Header{"X-Ms-Error-Code": {body}}, []byte(body), parseJSON([]byte(body))}
		said := make([]string, 0, 8)
		for _, w := range wants {
			for _, found := range w.compare(a) {
				said = append(said, s.text(found))
			}
		}
		for _, key := range lookup(a.json, "keys[]") {
			firstCertificate(key)
		}
		text, err := json.Marshal(s.exchange(request{method: "GET", path: keyPath}, a))
		if err != nil {
			t.Fatal(err)
		}
		if found := identifiers.FindString(string(text) + strings.Join(said, " ")); found != "" {
			t.Errorf("the report has %q", found)
		}
	})
}

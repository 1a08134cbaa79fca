package server

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"skr/internal/strictjson"
)

// acceptable reports, from the tokens of encoding/json, whether decode accepts the text.
func acceptable(body []byte, members []string) bool {
	if !utf8.Valid(body) || !json.Valid(body) {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return false
	}
	var seen []string
	for decoder.More() {
		token, _ := decoder.Token()
		name, _ := token.(string)
		value, err := decoder.Token()
		text, isText := value.(string)
		folded := strictjson.Fold(name)
		if slices.Contains(seen, folded) || strings.ContainsRune(name+text, utf8.RuneError) {
			return false
		}
		seen = append(seen, folded)
		if err != nil || value != nil && (!isText || !slices.Contains(members, name)) {
			return false
		}
	}
	return true
}

// Programs with one class for all requests write null for the members of other requests.
func TestNullOfOtherRequests(t *testing.T) {
	var got struct {
		A string `json:"a"`
	}
	if err := decode([]byte(`{"c":null,"a":"x", "d" : null }`), membersOf(reflect.TypeOf(got)), &got); err != nil || got.A != "x" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, body := range []string{`{"c":"","a":"x"}`, `{"c":null,"d":7}`, `{"a":null,"a":"x"}`, `{"a":"x","c":[null]}`, `{"a":"x","c":null,"C":null}`} {
		if err := decode([]byte(body), membersOf(reflect.TypeOf(got)), &got); err == nil {
			t.Errorf("%s is accepted", body)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{}`, ` { "a" : "b" , "b" : "\"\\" } `, `{"a":"x","\u0061":"y"}`, `{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`,
		`{"a":{"a":"b"}}`, `{"a":["x"]}`, `{"a":null}`, `{"a": null , "b":"x"}`, `{"a":null,"a":"x"}`, `{"a":"x","a":null}`, `[]`, `"a"`, `{"a":"\\\""}`, `{"A":"x"}`,
		`{"c": null }`, `{"a":"x","A":null,"c":null,"c":null}`, `{"c":nul}`, `{"a":"�"}`, "{\"a\":\"b\"\n}",
	} {
		f.Add([]byte(body))
	}
	known := members{[]string{"a", "b"}, [][]int{{0}, {1}}}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, want struct {
			A string `json:"a"`
			B []byte `json:"-"`
		}
		accepted := decode(body, known, &got) == nil
		if want := acceptable(body, known.names); accepted != want {
			t.Errorf("%q: accepted %v, want %v", body, accepted, want)
		}
		if err := json.Unmarshal(body, &want); accepted && (err != nil || got.A != want.A) {
			t.Errorf("%q: got %q, want %q, %v", body, got.A, want.A, err)
		}
	})
}

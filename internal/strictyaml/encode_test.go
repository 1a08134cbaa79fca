package strictyaml_test

import (
	"reflect"
	"testing"

	"skr/internal/strictyaml"
)

type part struct {
	Name  string   `json:"name"`
	Empty string   `json:"empty,omitempty"`
	List  []string `json:"list"`
}

// Texts that YAML would read as something else are quoted, and the text has the same meaning again.
func TestEncode(t *testing.T) {
	in := map[string]any{
		"number": 0.5, "flag": true, "text": "true", "digits": "0123", "date": "2026-01-02", "host": "*.vault.azure.net",
		"lines": "a\nb\n", "colon": "a: b # c", "nothing": "", "part": part{Name: "null", List: []string{"<&>", "ü", "-"}},
	}
	want := `colon: 'a: b # c'
date: "2026-01-02"
digits: "0123"
flag: true
host: '*.vault.azure.net'
lines: |
  a
  b
nothing: ""
number: 0.5
part:
  name: "null"
  list:
  - <&>
  - ü
  - '-'
text: "true"
`
	text, err := strictyaml.Encode(in)
	if err != nil || string(text) != want {
		t.Fatalf("encoded, with error %v:\n%s", err, text)
	}
	var again map[string]any
	if err := strictyaml.Decode(text, &again); err != nil {
		t.Fatal(err)
	}
	in["part"] = map[string]any{"name": "null", "list": []any{"<&>", "ü", "-"}}
	if !reflect.DeepEqual(again, in) {
		t.Errorf("decoded again: %#v", again)
	}
}

func TestEncodeRefuses(t *testing.T) {
	if text, err := strictyaml.Encode(map[string]any{"a": func() {}}); err == nil {
		t.Errorf("a function became %q", text)
	}
}

package strictyaml

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rule resembles an access rule: an empty list in it grants nothing.
type rule struct {
	Name   string            `json:"name"`
	UID    *uint32           `json:"uid,omitempty"`
	Routes []string          `json:"routes"`
	Keys   []string          `json:"keys,omitempty" empty:"strict"`
	Labels map[string]string `json:"labels,omitempty"`
	PCRs   map[int]string    `json:"pcrs,omitempty"`
	Strict *bool             `json:"strict,omitempty"`
	Claims json.RawMessage   `json:"claims,omitempty"`
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]rule{
		"name: a\nuid: 0\nroutes: ['*']\nkeys: []":           {Name: "a", UID: new(uint32(0)), Routes: []string{"*"}, Keys: []string{}},
		`{"name":"a","routes":["x"],"strict":false}`:         {Name: "a", Routes: []string{"x"}, Strict: new(false)},
		"---\nname: yes\nroutes: [no, 'null', \"1\"]\n...\n": {Name: "yes", Routes: []string{"no", "null", "1"}},
		"# a comment\nname: 2001-01-01\nroutes: [<<]":        {Name: "2001-01-01", Routes: []string{"<<"}},
		"name: a\nroutes: [b]\npcrs: {4: x}\nlabels: {no: y, '1': z}": {Name: "a", Routes: []string{"b"}, PCRs: map[int]string{4: "x"},
			Labels: map[string]string{"no": "y", "1": "z"}},
		"name: a\nroutes: [b]\nclaims: {x: null, y: [], z: '', n: 10}": {Name: "a", Routes: []string{"b"},
			Claims: json.RawMessage(`{"n":10,"x":null,"y":[],"z":""}`)},
	} {
		var got rule
		if err := Decode([]byte(text), &got); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

var refused = map[string]string{
	"":                                       "the document is present and empty",
	"# nothing but a comment":                "present and empty",
	"null":                                   "present and empty",
	"{}":                                     "present and empty",
	"name: a\nname: b":                       `line 2: member "name" is duplicated`,
	`{"name":"a","\u006eame":"b"}`:           "is duplicated",
	"name: a\nName: b":                       `line 2: members "name" and "Name" differ in case only`,
	"name: a\nroute\u017f: [b]\nroutes: [c]": "differ in case only", // encoding/json treats ſ as s
	"labels: {\u212a: a, k: b}":              "differ in case only", // and the Kelvin sign as k
	"labels: {a: b, A: c}":                   "differ in case only",
	"Name: a":                                `member "Name" must be written "name"`,
	"route\u017f: ['*']":                     `must be written "routes"`,
	"names: a":                               `member "names" is unknown`,
	"routes: &all ['*']":                     "anchors and aliases are not allowed",
	"&top {name: a}":                         "anchors and aliases are not allowed",
	"name: a\n<<: {routes: ['*']}":           "merge keys",
	"claims: {a: &x 1, b: *x}":               "anchors and aliases are not allowed",
	"*x : a":                                 "unknown anchor",
	"? [a]\n: b":                             "the name of a member must be a string",
	"name: !!str a":                          `the tag "!!str" is not allowed`,
	"name: !!binary YQ==":                    "the tag",
	"!!map {name: a}":                        "the tag",
	"name: a\n---\nroutes: ['*']":            "a second document",
	"name: a\n--- |\n x":                     "a second document",
	"name:":                                  `member "name" is present and empty`,
	"name: ~":                                `member "name" is present and empty`,
	"name: ' '":                              `member "name" is present and empty`,
	"uid: null":                              `member "uid" is present and empty`,
	"routes: []":                             `member "routes" is present and empty`,
	"routes: ['']":                           `an entry of member "routes" is present and empty`,
	"keys:":                                  `member "keys" is present and empty`,
	"labels: {}":                             `member "labels" is present and empty`,
	"labels: {a: }":                          `member "a" is present and empty`,
	"uid: 010":                               `write "010" as a decimal number`,
	"uid: 0x10":                              "as a decimal number",
	"uid: 1_000":                             "as a decimal number",
	"uid: +1":                                "as a decimal number",
	"uid: -1":                                "uid: want a whole number from 0, not number -1",
	"uid: '1'":                               "uid: want a whole number from 0, not string",
	"uid: 4294967296":                        "uid: want a whole number from 0",
	"strict: True":                           `write "True" as true or false`,
	"strict: no":                             "strict: want true or false, not string",
	"pcrs: {04: a}":                          `member "04" is not named by a number`,
	"pcrs: {4: a, 04: b}":                    `is not named by a number`,
	"routes: x":                              "routes: want a list, not string",
	"- name: a":                              "the document: want an object, not array",
	"name: [":                                "did not find",
	"\tname: a":                              "cannot start any token",
	strings.Repeat("[", 100) + strings.Repeat("]", 100):                     "nested more than 64 levels",
	"claims: " + strings.Repeat("{a: ", 70) + "1" + strings.Repeat("}", 70): "nested more than 64 levels",
	"name: " + strings.Repeat("a", maxBytes):                                "is longer than",
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range refused {
		var got rule
		err := Decode([]byte(text), &got)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: got %v, want one line with %q", text, err, want)
		}
	}
}

// Decoded values match the text: encoded as JSON, they are accepted again.
func FuzzDecode(f *testing.F) {
	for text := range refused {
		f.Add([]byte(text))
	}
	f.Add([]byte("name: a\nuid: 1\nroutes: ['*']\nclaims: {a: [1, 2.5e3, true, null]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again any
		if Decode(text, &got) != nil || got == nil {
			return
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if len(written) > maxBytes {
			return // quotes and escapes made the text too long
		}
		if err := Decode(written, &again); err != nil {
			t.Fatalf("%.1000s: %v", written, err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	})
}

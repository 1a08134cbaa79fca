package strictjson

import (
	"encoding/json"
	"strings"
	"testing"
)

const tokenClaims = `{"nonce":"18446744073709551615","iat":1695285095,"x-ms-sevsnpvm-is-debuggable":false,
 "x-ms-isolation-tee":{"x-ms-compliance-status":"azure-compliant-cvm","keys":[{"kid":"a"}],"svn":9007199254740993,"none":null}}`

func TestLookup(t *testing.T) {
	claims, err := Parse([]byte(tokenClaims))
	if err != nil {
		t.Fatal(err)
	}
	if text, found := claims.Text("x-ms-isolation-tee.x-ms-compliance-status"); !found || text != "azure-compliant-cvm" {
		t.Errorf("nested text is %q, %v", text, found)
	}
	if value, found := claims.Lookup("x-ms-sevsnpvm-is-debuggable"); !found || value != false {
		t.Errorf("boolean is %v, %v", value, found)
	}
	if number, found := claims.Lookup("x-ms-isolation-tee.svn"); !found || number != json.Number("9007199254740993") {
		t.Errorf("number is %v, %v", number, found)
	}
	if value, found := claims.Lookup("x-ms-isolation-tee.none"); !found || value != nil {
		t.Errorf("null is %v, %v", value, found)
	}
	for _, path := range []string{"", ".", "x", "nonce.x", "x-ms-isolation-tee.", "x-ms-isolation-tee.keys.kid", "NONCE"} {
		if value, found := claims.Lookup(path); found {
			t.Errorf("%q is %v", path, value)
		}
	}
	if _, found := claims.Text("iat"); found {
		t.Error("a number was accepted as a string")
	}
}

func TestMembers(t *testing.T) {
	o, err := Parse([]byte(`{"a":1,"b":{"c":2}}`))
	if err != nil {
		t.Fatal(err)
	}
	all := o.Members()
	if len(all) != 2 || all["a"] != json.Number("1") || !(Object{all["b"].(map[string]any)}).Equal(map[string]any{"c": json.Number("2")}) {
		t.Errorf("got %v", all)
	}
}

func TestEqual(t *testing.T) {
	claims := func(text string) Object {
		c, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	token := claims(`{"r":{"b":[1,{"c":null}],"a":"é"}}`)
	value, _ := token.Lookup("r")
	for text, want := range map[string]bool{
		`{"a":"\u00e9", "b":[1,{"c":null}]}`: true,
		`{"a":"é","b":[1.0,{"c":null}]}`:     false,
		`{"a":"é","b":[1,{}]}`:               false,
		`{"a":"é","b":[1,{"c":null}],"c":1}`: false,
		`{"a":"é","b":[{"c":null},1]}`:       false,
		`{}`:                                 false,
	} {
		if got := claims(text).Equal(value); got != want {
			t.Errorf("%s: equal is %v, want %v", text, got, want)
		}
	}
	if claims(`{}`).Equal(nil) {
		t.Error("a missing value equals an empty object")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "null", "1", `"a"`, "[]", "{", "}", `{"a"}`, `{"a":1,}`, `{"a":1}{}`, `{"a":1} x`, `{"a":1,"a":1}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"i":1}`, `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"J":1}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"A":1}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}",
		`{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":2}]}`, `{"a":1,"\u0061":2}`,
		strings.Repeat(`{"a":`, defaultDepth+1) + "1" + strings.Repeat("}", defaultDepth+1),
		`{"a":` + strings.Repeat("[", 100000),
		`{"a":"` + strings.Repeat("a", defaultBytes) + `"}`,
	} {
		if claims, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%.40q) = %v, want an error", text, claims)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(tokenClaims))
	f.Add([]byte(`{"a":[1,2,{"b":{}}],"a":1e400}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		claims, err := Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Errorf("parsed %q, which is not JSON", data)
		}
		text, err := json.Marshal(claims.members)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil || !again.Equal(any(claims.members)) {
			t.Errorf("%q parsed to %v, then to %v, %v", data, claims, again, err)
		}
	})
}

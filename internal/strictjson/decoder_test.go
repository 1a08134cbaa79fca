package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// A bounded decoder refuses what exceeds a bound and accepts everything else.
func TestDecoderBounds(t *testing.T) {
	for _, bounds := range []struct {
		decoder  Decoder
		good     string
		bad      string
		complain string
	}{
		{Decoder{Bytes: 4}, `[12]`, `[123]`, "longer than 4 bytes"},
		{Decoder{Depth: 2}, `[[1]]`, `[[[]]]`, "more than 2 levels"},
		{Decoder{Depth: 2}, `{"a":{"b":1}}`, `{"a":{"b":[]}}`, "more than 2 levels"},
		{Decoder{Values: 3}, `[1,2]`, `[1,2,3]`, "more than 3 values"},
		{Decoder{Values: 3}, `{"a":1,"b":2}`, `{"a":[],"b":2,"c":3}`, "more than 3 values"},
	} {
		if err := bounds.decoder.Check([]byte(bounds.good)); err != nil {
			t.Errorf("%+v refuses %s: %v", bounds.decoder, bounds.good, err)
		}
		if err := bounds.decoder.Check([]byte(bounds.bad)); err == nil || !strings.Contains(err.Error(), bounds.complain) {
			t.Errorf("%+v of %s: %v", bounds.decoder, bounds.bad, err)
		}
	}
	if err := (Decoder{}).Check([]byte("[" + strings.Repeat("1,", defaultValues) + "1]")); err == nil {
		t.Error("the zero value does not bound the number of values")
	}
}

type wire struct {
	Text  string `json:"text"`
	Inner struct {
		Deep string `json:"deep"`
	} `json:"inner"`
	Raw json.RawMessage `json:"raw"`
	Map map[string]int  `json:"map"`
}

func TestKnownOnly(t *testing.T) {
	for text, want := range map[string]bool{
		`{"text":"a","inner":{"deep":"b"},"raw":{"x":{"y":1}},"map":{"z":1}}`: true,
		`{"text":"a","other":"b"}`:      false,
		`{"inner":{"other":"b"}}`:       false,
		`{"inner":{"deep":null}}`:       true,
		`{"raw":{"a":1,"A":2}}`:         false,
		`{"text":"a","raw":{"TEXT":1}}`: true,
	} {
		if err := (Decoder{KnownOnly: true}).Decode([]byte(text), &wire{}); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The text may be a key: no error of Decode, Check or Members contains it.
func TestDecoderErrorsHoldNoText(t *testing.T) {
	const secret = "s3cret"
	for _, text := range []string{
		`{"s3cret":1,"s3cret":2}`, `{"s3cret":1,"S3CRET":2}`, `{"text":"s3cret"`, `{"text":s3cret}`, `s3cret`, `{"text":"a"}s3cret`,
		`{"text":1,"raw":"s3cret"}`, `{"text":"s3cret\xff"}`, `{"text":"\ud800s3cret"}`, `{"s3cret":{"s3cret":[}}`, `{"map":{"s3cret":"a"}}`,
	} {
		for name, read := range map[string]func([]byte) error{
			"Decode": func(data []byte) error { return Decoder{KnownOnly: true}.Decode(data, &wire{}) },
			"Check":  Decoder{}.Check,
			"Members": func(data []byte) error {
				return Decoder{}.Members(data, func(string, []byte) error { return nil })
			},
		} {
			if err := read([]byte(text)); err != nil && strings.Contains(strings.ToLower(err.Error()), secret) {
				t.Errorf("%s of %s: %v", name, text, err)
			}
		}
	}
}

func TestMembersInOrder(t *testing.T) {
	var got []string
	read := func(text string) error {
		got = nil
		return Decoder{}.Members([]byte(text), func(name string, value []byte) error {
			text, isText := Text(value)
			got = append(got, name, string(value), string(text))
			if isText != (value[0] == '"') {
				t.Errorf("%s was accepted as a string: %v", value, isText)
			}
			return nil
		})
	}
	if err := read(` {"b" : "\u0061\n" ,"a":null, "c":[1, {"x":2}]} `); err != nil || strings.Join(got, "|") != `b|"\u0061\n"|`+"a\n"+`|a|null||c|[1, {"x":2}]|` {
		t.Errorf("got %q, %v", got, err)
	}
	for text, want := range map[string]error{
		`{"a":1,"a":2}`: ErrRepeated, `{"a":1,"\u0061":2}`: ErrRepeated, `{"a":{"b":1,"b":1}}`: ErrRepeated, `[]`: ErrNotObject, `null`: ErrNotObject,
	} {
		if err := read(text); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	for _, text := range []string{``, `{`, `{"a"}`, `{"a":1,}`, `{"a":1}}`, `{"a":1,"A":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":{"b":1,"B":1}}`} {
		if err := read(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

package inspect

import (
	"bytes"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"skr/internal/strictjson"
)

func FuzzRecognise(f *testing.F) {
	for _, s := range specimens(f) {
		f.Add(s.data)
		f.Add([]byte(hex.EncodeToString(s.data)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		given := bytes.Clone(data)
		found, err := Recognise(data)
		if !bytes.Equal(data, given) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("the error is not one line: %q", err)
			}
			return
		}
		description := found.Show(goldenNow)
		if err := description.WriteText(io.Discard); err != nil {
			t.Fatal(err)
		}
		if description.Kind.Name() == string(description.Kind) && description.Kind != "key" && description.Kind != "certificates" {
			t.Fatalf("kind %q has no name", description.Kind)
		}
		for _, part := range found.Parts() {
			if part.Err != nil && strings.ContainsAny(part.Err.Error(), "\n\r\x1b") {
				t.Fatalf("the error is not one line: %q", part.Err)
			}
		}
		if e, ok := found.Evidence(); ok && e.empty() {
			t.Fatal("the evidence is empty")
		}
	})
}

// FuzzPCRs checks that only existing PCRs are returned.
func FuzzPCRs(f *testing.F) {
	f.Add(toolFile(0xff, 1))
	f.Add(toolFile(1<<24-1, 3))
	f.Add([]byte(`["` + strings.Repeat("00", 32) + `"]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		found, err := recognisePCRs(newInput(raw))
		if err != nil {
			return
		}
		values, ok := found.(pcrs)
		if !ok || len(values) == 0 || len(values) > 24 {
			t.Fatalf("%d values", len(values))
		}
	})
}

func FuzzClaims(f *testing.F) {
	f.Add(runtimeJSON)
	f.Add(privateJWK)
	f.Add(`{"exp":1e400,"nbf":-1,"iat":99999999999999999999,"a":[[{}],null,true]}`)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := strictjson.Parse([]byte(text))
		if err != nil {
			return
		}
		section := claimSection("", parsed, time.Time{})
		if len(section.Fields) > maxLeaves+1 {
			t.Fatalf("%d fields", len(section.Fields))
		}
	})
}

// FuzzText fuzzes the parsers of text: PEM, policies, tokens and requests.
func FuzzText(f *testing.F) {
	for _, s := range specimens(f) {
		if newInput(s.data).text != nil {
			f.Add(string(s.data))
		}
	}
	f.Fuzz(func(_ *testing.T, text string) {
		in := newInput([]byte(text))
		for _, k := range kinds {
			if k.recognise == nil {
				continue
			}
			if content, err := k.recognise(in); err == nil {
				content.sections(goldenNow)
			}
		}
	})
}

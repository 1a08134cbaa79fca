package sinks

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skr/internal/envelope"
)

// inputsOf returns inputs with a symmetric key "k", a key "kept" that is kept, and an envelope.
func inputsOf(t testing.TB) *inputs {
	t.Helper()
	keys := newSource()
	kept, seal := pair(t, 1)
	keys.set("k", symmetric(t, "a", 7), nil)
	keys.set("kept", kept, nil)
	in := newInputs(t.Context(), keys, rights)
	t.Cleanup(in.wipe)
	for _, alias := range []string{"k", "kept"} {
		if err := in.add(alias); err != nil {
			t.Fatal(err)
		}
	}
	sealed, err := envelope.Parse([]byte(seal("pass\nword")))
	if err != nil {
		t.Fatal(err)
	}
	in.envelopes = map[string]*envelope.Envelope{"/e.jwe": sealed}
	return in
}

func renderText(t testing.TB, in *inputs, text string) (string, error) {
	t.Helper()
	parsed, _, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	in.template = parsed
	rendered, err := in.execute()
	return string(rendered), err
}

func TestTemplate(t *testing.T) {
	in := inputsOf(t)
	raw := strings.Repeat("a", 32)
	for text, want := range map[string]string{
		"plain text":                        "plain text",
		"   ":                               "   ",
		"":                                  "",
		`key={{ key "k" "raw" | base64 }}`:  "key=" + base64.StdEncoding.EncodeToString([]byte(raw)),
		`{{ version "k" }} {{ keyID "k" }}`: version(7) + " https://v.vault.azure.net/keys/k/" + version(7),
		`password: {{ secret "kept" "/e.jwe" | quote }}`:         `password: "pass\nword"`,
		"p: |\n  {{ secret \"kept\" \"/e.jwe\" | indent 2 }}":    "p: |\n  pass\n  word",
		`{{ if eq (version "k") "x" }}old{{ else }}new{{ end }}`: "new",
		`{{ $a := "k" }}{{ key $a "raw" }}`:                      raw,
		`{{ trim "  x " }}{{/* a comment */}}`:                   "x",
	} {
		if got, err := renderText(t, in, text); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	got, err := renderText(t, in, `{{ key "k" "jwk" }}`)
	if err != nil || jsonOf(t, got)["kty"] == nil {
		t.Errorf("%v", err)
	}
}

// A template reaches nothing but what its sink lists, and its errors show no secret.
func TestTemplateErrors(t *testing.T) {
	in := inputsOf(t)
	for text, want := range map[string]string{
		`{{ key "other" "raw" }}`:                         "not in the list of this sink",
		`{{ secret "kept" "/etc/passwd" }}`:               "not in the list of this sink",
		`{{ key "kept" "pem" }}`:                          "do not permit",
		`{{ $a := "kept" }}{{ key $a "pem" }}`:            "do not permit",
		`{{ key "k" "pem" }}`:                             "has no form pem",
		`{{ key "k" "p12" }}`:                             "format of a key is none of",
		`{{ key "k" (key "k" "raw") }}`:                   "format of a key is none of",
		`{{ secret "k" (key "k" "raw") }}`:                "not in the list",
		`{{ secret "k" "/e.jwe" }}`:                       "does not give",
		`{{ key "k" }}`:                                   "wrong number",
		`{{ key (key "k" "raw") "raw" }}`:                 "not in the list",
		`{{ eq (key "k" "raw") 1 }}`:                      "incompatible types",
		`{{ env "HOME" }}`:                                "not defined",
		`{{ printf "%9999999s" "x" }}`:                    "not defined",
		`{{ call 1 }}`:                                    "not defined",
		`{{ .Foo }}`:                                      "cannot be used",
		`{{ . }}`:                                         "cannot be used",
		`{{ range 1000000000 }}{{ end }}`:                 "cannot be used",
		`{{ with "k" }}{{ . }}{{ end }}`:                  "cannot be used",
		`{{ define "x" }}{{ end }}x`:                      "cannot be used",
		`{{ template "x" }}`:                              "cannot be used",
		`{{ ($.X).Y }}`:                                   "cannot be used",
		`{{ $.X }}`:                                       "cannot be used",
		`{{ "x" | indent 65 }}`:                           "0 to 64",
		`{{ key `:                                         "unclosed",
		strings.Repeat(`{{ key "k" "raw" }}`, maxCalls+1): "more than 256 calls",
		strings.Repeat("x", maxRendered+1):                "longer than",
		// Variables cannot hold gigabytes.
		`{{ $t := "` + strings.Repeat("x", 32<<10) + `" }}` + strings.Repeat(`{{ $v := trim $t }}`, maxMade/(32<<10)+1): "return more than",
		// Each call makes the text 64 times as long.
		`{{ $t := "\n\n\n\n" }}` + strings.Repeat(`{{ $t = indent 64 $t | base64 }}{{ $t = indent 64 "\n\n" }}`, 2) +
			`{{ $u := "\n" }}{{ $u = quote $u | quote | quote | quote | quote | quote | quote | quote | quote | quote | quote | quote | quote ` +
			`| quote | quote | quote | quote | quote | quote | quote | quote | quote }}`: "longer than",
	} {
		got, err := renderText(t, in, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %.100q, %v; want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "aaaaaaaa") {
			t.Errorf("%.100s: the error shows the key: %v", text, err)
		}
	}
}

// The file of a template is bounded.
func TestTemplateFile(t *testing.T) {
	dir := memory(t)
	long := put(t, filepath.Join(dir, "long"), strings.Repeat("x", maxTemplate+1))
	c := content{template: long}
	if _, _, err := c.readTemplate(); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}

// Any template is rendered or refused in a short time, and its error shows no secret.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{
		`{{ key "k" "raw" }}`, `{{ range 10 }}{{ end }}`, `{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`,
		`{{ $x := "k" }}{{ if not (eq $x "y") }}{{ indent 3 "a\nb" }}{{ else if and true $x }}{{ end }}`, `{{- /* c */ -}}`, `{{ $.X }}`,
		`{{ secret "kept" "/e.jwe" | quote }}`, `{{ "\u0000" | base64 | trim }}`, `{{ 1 | key "k" }}`, `{{ break }}`, `{{ nil }}`,
	} {
		f.Add(text)
	}
	in := inputsOf(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxTemplate {
			return
		}
		begun := time.Now()
		got, err := renderText(t, in, text)
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
		if len(got) > maxRendered {
			t.Errorf("%d bytes", len(got))
		}
		if err != nil && strings.Contains(err.Error(), "aaaaaaaaaaaaaaaa") && !strings.Contains(text, "aaaaaaaa") {
			t.Errorf("the error shows the key: %v", err)
		}
	})
}

package secmem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "canary-value"

func TestTextRedactsEverywhere(t *testing.T) {
	secret := NewText(canary)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "secret", secret, "in", struct{ Secret Text }{secret})
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "secret", secret, "in", struct{ Secret Text }{secret})
	encoded, err := json.Marshal(map[string]any{"a": secret, "b": &secret})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"verbs": fmt.Sprintf("%v %+v %#v %s %q %x %d", secret, secret, secret, secret, secret, secret, secret),
		"field": fmt.Sprintf("%v %+v %#v", struct{ Secret Text }{secret}, &struct{ Secret Text }{secret}, []Text{secret}),
		"json":  string(encoded),
		"log":   log.String(),
		"error": fmt.Errorf("with %v", secret).Error(),
	} {
		if strings.Contains(text, canary) || !strings.Contains(text, redacted) {
			t.Errorf("%s: %s", name, text)
		}
	}
	if secret.Reveal() != canary || secret.IsZero() || !NewText("").IsZero() {
		t.Error("the secret differs from its source")
	}
}

func TestWipe(t *testing.T) {
	a, b := []byte("aaaa"), []byte("bb")
	Wipe(a, b, nil)
	if !bytes.Equal(a, make([]byte, 4)) || !bytes.Equal(b, make([]byte, 2)) {
		t.Errorf("remaining: %q %q", a, b)
	}
}

func TestScrub(t *testing.T) {
	token := "eyJ" + strings.Repeat("aB3-_", 10) + ".eyJ9.c2ln"
	for text, want := range map[string]string{
		"the token " + token + " is bad":                        "the token [redacted] is bad",
		strings.Repeat("0a", 32):                                redacted,
		"Activity ID: 0b1c2d3e-0000-1111-2222-333344445555":     "Activity ID: 0b1c2d3e-0000-1111-2222-333344445555",
		"sharedeus.eus.attest.azure.net refused (AADSTS700016)": "sharedeus.eus.attest.azure.net refused (AADSTS700016)",
	} {
		if got := Scrub(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	for text, want := range map[string]string{
		"short": "short", "four é": "four …", strings.Repeat("0a", 32): "[redac…",
	} {
		if got := Excerpt(text, 6); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

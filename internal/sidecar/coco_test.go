package sidecar

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"skr/internal/config"
)

// A resource that no caller can receive is reported at the start.
func TestWarnOfResources(t *testing.T) {
	const names = `"vault":"v1.vault.azure.net","authority":"a1.attest.azure.net"`
	s, _, err := config.Load(nil, config.Environment{
		"SKR_COCO_LISTEN": "127.0.0.1:8006",
		"SKR_KEYS": `{"free":{` + names + `,"key":"free"},"kept":{` + names + `,"key":"kept","ops":["decrypt"]},` +
			`"used":{"vault":"v1.vault.azure.net","key":"used","in_vault":true}}`,
		"SKR_COCO": `{"resources":{"a/free/key":{"alias":"free","as":"pem"},"a/kept/key":{"alias":"kept","as":"pem"},` +
			`"a/kept/file":{"alias":"kept","envelope":"/e"},"a/used/key":{"alias":"used","as":"pem"},"a/used/file":{"alias":"used","envelope":"/e"}}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Assemble(s, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	parts.warnOfResources(slog.New(slog.NewTextHandler(&log, nil)))
	var got []string
	for line := range strings.Lines(log.String()) {
		_, path, _ := strings.Cut(line, "resource=")
		path, _, _ = strings.Cut(path, " ")
		got = append(got, path)
	}
	if want := []string{"a/kept/key", "a/used/file", "a/used/key"}; !slices.Equal(got, want) {
		t.Errorf("warnings for %q, want %q\n%s", got, want, &log)
	}
}

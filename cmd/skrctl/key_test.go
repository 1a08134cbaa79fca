package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"skr/internal/operator/provision"
)

func keysDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The table of members in docs/keys.md has the members of keyInfo in their order.
func TestDocumentedKeyInfo(t *testing.T) {
	_, table, _ := strings.Cut(keysDocument(t), "| member | meaning |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	fields := reflect.TypeFor[keyInfo]()
	if len(rows) != fields.NumField() {
		t.Fatalf("%d rows for %d members", len(rows), fields.NumField())
	}
	for i, row := range rows {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if !strings.HasPrefix(row, "| `"+name+"` | ") {
			t.Errorf("row %d is not for %q: %s", i, name, row)
		}
	}
}

// An unreadable policy is reported as such, and its text is left out of JSON.
func TestUnreadablePolicy(t *testing.T) {
	info := describeKey(&provision.Key{Policy: []byte("\x1b[2J{")})
	if info.Policy != nil || info.PolicyError == "" || strings.ContainsRune(info.policyLine(), '\x1b') {
		t.Errorf("%+v", info)
	}
}

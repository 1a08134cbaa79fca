// Package reference keeps the generated parts of the documents in step with the code.
//
// A part stands between two marks of a document:
//
//	<!-- generated: settings -->
//	…
//	<!-- end: settings -->
//
// The tests that own a part call [Check] with its text. With -args -update they write it. `make docs`
// does this for all of them, one package after the other, because several share a document.
package reference

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"skr/test/samples"
)

var update = flag.Bool("update", false, "write the generated parts of the documents")

// Width is the column at which documents wrap.
const Width = 100

// Check fails unless the part of the document has the text. The path of the document starts at the
// root of the repository.
func Check(t *testing.T, document, part, text string) {
	t.Helper()
	path := filepath.Join(samples.Repository(t), document)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- generated: "+part+" -->\n", "<!-- end: "+part+" -->\n"
	before, rest, found := strings.Cut(string(content), begin)
	old, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no part between %s and %s", document, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	text = "\n" + strings.TrimSpace(text) + "\n\n"
	if old == text {
		return
	}
	if !*update {
		t.Errorf("%s: the part %q is out of date. `make docs` writes it:\n%s", document, part, difference(old, text))
		return
	}
	if err := os.WriteFile(path, []byte(before+begin+text+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// difference returns the lines that only one of the texts has.
func difference(old, text string) string {
	var b strings.Builder
	for _, side := range []struct{ sign, these, those string }{{"-", old, text}, {"+", text, old}} {
		known := map[string]bool{}
		for line := range strings.Lines(side.those) {
			known[line] = true
		}
		for line := range strings.Lines(side.these) {
			if !known[line] {
				b.WriteString(side.sign + line)
			}
		}
	}
	if b.Len() == 0 {
		return "the order of the lines differs"
	}
	return b.String()
}

// Wrap breaks the text into lines of at most [Width] columns. Every line but the first is indented.
func Wrap(text, indent string) string {
	var b strings.Builder
	column := 0
	for i, word := range words(text) {
		switch length := utf8.RuneCountInString(word); {
		case i == 0:
			column = length
		case column+1+length > Width:
			b.WriteString("\n" + indent)
			column = utf8.RuneCountInString(indent) + length
		default:
			b.WriteString(" ")
			column += 1 + length
		}
		b.WriteString(word)
	}
	return b.String()
}

// words splits the text at spaces, but keeps code in backticks on one line.
func words(text string) (all []string) {
	for _, field := range strings.Fields(text) {
		if last := len(all) - 1; last >= 0 && strings.Count(all[last], "`")%2 == 1 {
			all[last] += " " + field
		} else {
			all = append(all, field)
		}
	}
	return all
}

package pages

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"skr/test/reference"
)

// widest is for lines that cannot wrap: tables and code.
const widest = 160

// address is a line that only says where a link leads.
var address = regexp.MustCompile(`^\[[^\]]+\]: \S+$`)

// TestWidth checks that no line is wider than a screen.
func TestWidth(t *testing.T) {
	for name, text := range documents(t) {
		for i, line := range strings.Split(text, "\n") {
			if length := utf8.RuneCountInString(line); length > widest && !address.MatchString(line) {
				t.Errorf("%s:%d has %d columns, want at most %d", name, i+1, length, widest)
			}
		}
	}
}

// TestWrap checks that paragraphs wrap. Tables, HTML, links and code do not.
func TestWrap(t *testing.T) {
	for name, text := range documents(t) {
		if name == "deploy/helm/skr/README.md" {
			continue // helm-docs makes the chart's
		}
		lines := prose(text)
		for _, number := range slices.Sorted(maps.Keys(lines)) {
			line := lines[number]
			if !strings.ContainsAny(line[:min(1, len(line))], "|#<") && !address.MatchString(line) && canWrap(line) {
				t.Errorf("%s:%d has %d columns, want at most %d", name, number, utf8.RuneCountInString(line), reference.Width)
			}
		}
	}
}

// token is what no line break may divide: code, a link's address, and a word.
var token = regexp.MustCompile("(?:`[^`]*`|\\]\\([^)]*\\)|\\S)+")

// canWrap reports whether the line is too wide and has another token before the one that ends it.
func canWrap(line string) bool {
	if utf8.RuneCountInString(line) <= reference.Width {
		return false
	}
	return len(token.FindAllString(strings.TrimLeft(line, " -*0123456789."), -1)) > 1
}

func TestCanWrap(t *testing.T) {
	word := strings.Repeat("x", reference.Width)
	for line, want := range map[string]bool{
		"short": false, "a " + word: true, "`a " + word + "`": false, "- [b](" + word + ")": false, word + " a": true,
	} {
		if canWrap(line) != want {
			t.Errorf("canWrap(%q) is %v", line, !want)
		}
	}
}

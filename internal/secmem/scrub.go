package secmem

import (
	"regexp"
	"strings"
)

// longRun matches tokens, keys and evidence in any encoding. GUIDs, versions and most host
// names are shorter.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=.~-]{40,}`)

// Scrub removes everything that may be a secret from the text of another program, so that it
// can be logged.
func Scrub(text string) string { return longRun.ReplaceAllString(text, redacted) }

// Excerpt returns the scrubbed beginning of another program's text, at most limit bytes and
// whole characters.
func Excerpt(text string, limit int) string {
	text = Scrub(text)
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

package secmem

import (
	"regexp"
	"strings"
)

// longRun is what tokens, keys and evidence look like in any encoding. GUIDs,
// versions and most host names are shorter.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=.~-]{40,}`)

// Scrub prepares text of a stranger for a log or an error: it takes out
// whatever may be a secret that the stranger repeats.
func Scrub(text string) string { return longRun.ReplaceAllString(text, redacted) }

// Excerpt is the scrubbed beginning of a stranger's text, at most limit bytes of
// it and whole characters.
func Excerpt(text string, limit int) string {
	text = Scrub(text)
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

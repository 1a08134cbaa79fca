// Package secmem holds secrets so that they cannot be printed by accident.
//
// [Text] is for bearer tokens, which are strings by nature. [Wipe] overwrites
// key bytes once they are used, and [Scrub] cleans what a stranger said. Go may
// have copied a value while growing a stack or moving a slice; LIMITATIONS.md
// says what this does not protect from.
package secmem

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

const redacted = "[redacted]"

// Text is a secret string. Only [Text.Reveal] gives its value.
type Text struct{ value string }

// NewText makes a secret of value.
func NewText(value string) Text { return Text{value} }

// Reveal returns the secret, for the one place that sends it.
func (t Text) Reveal() string { return t.value }

// IsZero says whether there is no secret at all.
func (t Text) IsZero() bool { return t.value == "" }

// String redacts.
func (t Text) String() string { return redacted }

// GoString redacts the %#v form.
func (t Text) GoString() string { return redacted }

// Format redacts every verb.
func (t Text) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue redacts in log/slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// UnmarshalJSON reads the secret from a JSON string.
func (t *Text) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &t.value) }

// Wipe overwrites each of the byte slices with zeros.
func Wipe(secrets ...[]byte) {
	for _, secret := range secrets {
		clear(secret)
	}
}

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

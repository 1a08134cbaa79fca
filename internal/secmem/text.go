package secmem

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
)

// Text is a secret string. Only [Text.Reveal] returns its value. Copies of a Text share one
// [Buffer], which is wiped when the last of them becomes unreachable.
type Text struct {
	_    [0]func() // not comparable with ==: compare digests
	held *Buffer   // nil without a secret
}

// NewText returns value as a secret.
func NewText(value string) Text {
	if value == "" {
		return Text{}
	}
	return Text{held: Hold([]byte(value))}
}

// Reveal returns a copy of the secret, for the code that sends it.
func (t Text) Reveal() (value string) {
	t.use(func(secret []byte) { value = string(secret) })
	return value
}

// IsZero reports whether there is no secret.
func (t Text) IsZero() bool { return t.held == nil }

// digestKey makes digests useless outside this process.
var digestKey = sync.OnceValue(func() *Buffer {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails, says crypto/rand
	return Hold(key)
})

// Digest returns an HMAC-SHA-256 of the secret with a key of this process, to compare
// secrets, for example in the key of a map. It does not help to guess the secret. The digest
// of no secret is zero.
func (t Text) Digest() (digest [32]byte) {
	if t.held == nil {
		return digest
	}
	_ = digestKey().Use(func(key []byte) error { // never wiped
		mac := hmac.New(sha256.New, key)
		t.use(func(secret []byte) { mac.Write(secret) })
		mac.Sum(digest[:0])
		return nil
	})
	return digest
}

// use calls f with the secret, if there is one. A Text cannot be wiped.
func (t Text) use(f func(secret []byte)) {
	if t.held == nil {
		return
	}
	_ = t.held.Use(func(secret []byte) error { f(secret); return nil })
}

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

// UnmarshalJSON decodes the secret from a JSON string.
func (t *Text) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	*t = NewText(value)
	return nil
}

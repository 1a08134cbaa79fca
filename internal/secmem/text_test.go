package secmem

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"testing"
)

func TestTextOfJSON(t *testing.T) {
	var got struct{ A, B, C Text }
	if err := json.Unmarshal([]byte(`{"A":"canary-value","B":""}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.A.Reveal() != canary || !got.B.IsZero() || !got.C.IsZero() || got.C.Reveal() != "" {
		t.Errorf("read as %q, %q and %q", got.A.Reveal(), got.B.Reveal(), got.C.Reveal())
	}
	if err := json.Unmarshal([]byte(`{"A":5}`), &got); err == nil {
		t.Error("a number was accepted as a secret text")
	}
}

func TestDigest(t *testing.T) {
	a, same, other := NewText(canary), NewText(canary), NewText("another")
	if a.Digest() != same.Digest() || a.Digest() == other.Digest() || a.Digest() == (Text{}).Digest() || (Text{}).Digest() != NewText("").Digest() {
		t.Error("digests must be equal exactly if the secrets are")
	}
	guess := hmac.New(sha256.New, nil)
	guess.Write([]byte(canary))
	if a.Digest() == sha256.Sum256([]byte(canary)) || a.Digest() == [32]byte(guess.Sum(nil)) {
		t.Error("a guess of the secret can be confirmed by the digest")
	}
	if reflect.TypeFor[Text]().Comparable() {
		t.Error("two Texts can be compared by ==, which is false for equal secrets")
	}
}

func TestDo(t *testing.T) {
	done := false
	if Do(func() { done = true }); !done {
		t.Error("nothing was done")
	}
}

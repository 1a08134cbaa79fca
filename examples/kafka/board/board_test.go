package board_test

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"sync"
	"testing"

	"skr/examples/kafka/board"
	"skr/examples/kafka/message"
)

var pair = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func sealed(t *testing.T, text string) []byte {
	t.Helper()
	value, err := message.Encrypt(&pair().PublicKey, text)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(value)
}

func TestKeyArrivesLate(t *testing.T) {
	b := board.New(10)
	value := sealed(t, "hello")
	b.Add(board.Message{Partition: 2, Offset: 7, Value: value})
	before := b.Since(0)
	if e := before.Entries[0]; e.State != board.Encrypted || e.Text != string(value) || e.ID != "p2-o7" || e.Ciphertext != "" {
		t.Errorf("before the key: %+v", e)
	}
	for reason, code := range map[string]string{"no sidecar": "", "a long reason": "release_rejected"} {
		b.Refused(reason, code, "")
		want := "this pod has no key: " + reason
		if code != "" {
			want = "this pod has no key: the release was refused (release_rejected)"
		}
		if e := b.Since(before.Revision).Entries; len(e) != 1 || e[0].Problem != want {
			t.Errorf("%+v, want %q", e, want)
		}
	}
	b.Decrypt(message.Key{Private: pair(), Name: "k", Version: "v1"})
	after := b.Since(before.Revision)
	if len(after.Entries) != 1 || after.Entries[0].State != board.Decrypted || after.Entries[0].Text != "hello" || after.Entries[0].Problem != "" ||
		after.Entries[0].Ciphertext != string(value) || after.Entries[0].Key != "k" || after.Entries[0].Version != "v1" {
		t.Errorf("after the key: %+v", after.Entries)
	}
	if after.Status == nil || !after.Status.Active || after.Status.Reason != "" {
		t.Errorf("the status is %+v", after.Status)
	}
}

func TestOneBadMessage(t *testing.T) {
	b := board.New(10)
	b.Decrypt(message.Key{Private: pair(), Name: "k", Version: "v1"})
	for i, value := range []string{string(sealed(t, "first")), "not base64", "\xff\x00", strings.Repeat("A", 5000), "", string(sealed(t, "last"))} {
		b.Add(board.Message{Offset: int64(i), Value: []byte(value)})
	}
	b.Decrypt(message.Key{Private: pair(), Name: "k", Version: "v1"}) // no change
	entries := b.Since(0).Entries
	if entries[0].Text != "first" || entries[5].Text != "last" {
		t.Errorf("the valid ones are %+v and %+v", entries[0], entries[5])
	}
	for i, want := range map[int]string{1: "base64", 2: "base64", 3: "5000 bytes", 4: "length"} {
		if e := entries[i]; e.State != board.Bad || !strings.Contains(e.Problem, want) || len(e.Text) > 1100 {
			t.Errorf("got %+v, want %q", e, want)
		}
	}
}

func TestBounded(t *testing.T) {
	b := board.New(3)
	for i := range int64(5) {
		b.Add(board.Message{Offset: i, Value: []byte("x")})
	}
	entries := b.Since(0).Entries
	if len(entries) != 3 || entries[0].Offset != 2 || entries[2].Number != 5 {
		t.Errorf("got %+v", entries)
	}
}

func TestReadAgain(t *testing.T) {
	b := board.New(3)
	for _, value := range []string{"old", "new"} {
		b.Add(board.Message{Offset: 7, Value: []byte(value)})
	}
	if entries := b.Since(0).Entries; len(entries) != 1 || entries[0].Text != "new" {
		t.Errorf("got %+v", entries)
	}
}

// TestSince checks that a reader gets each change once, and everything after a
// restart.
func TestSince(t *testing.T) {
	b := board.New(3)
	changed := b.Changed()
	b.Add(board.Message{Offset: 1})
	select {
	case <-changed:
	default:
		t.Error("a change does not wake the reader")
	}
	first := b.Since(0)
	if again := b.Since(first.Revision); again.Status != nil || len(again.Entries) != 0 {
		t.Errorf("nothing changed, but got %+v", again)
	}
	b.Broker("no route")
	b.Broker("no route")
	second := b.Since(first.Revision)
	if second.Revision != first.Revision+1 || second.Status == nil || second.Status.Broker != "no route" || len(second.Entries) != 0 {
		t.Errorf("got %+v", second)
	}
	if restarted := b.Since(1000); restarted.Status == nil || len(restarted.Entries) != 1 {
		t.Errorf("a reader from before a restart gets %+v", restarted)
	}
}

// TestVersions checks that a message waits for the version that it names.
func TestVersions(t *testing.T) {
	b := board.New(10)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	value, err := message.Encrypt(&old.PublicKey, "old")
	if err != nil {
		t.Fatal(err)
	}
	b.Add(board.Message{Offset: 1, Value: []byte(value), Version: "v1"})
	b.Add(board.Message{Offset: 2, Value: sealed(t, "new"), Version: "v2"})
	b.Add(board.Message{Offset: 3, Value: sealed(t, "any")})
	b.Decrypt(message.Key{Private: pair(), Name: "k", Version: "v2"})
	entries := b.Since(0).Entries
	if entries[0].State != board.Encrypted || !strings.Contains(entries[0].Problem, "version v1 of the key was requested") ||
		entries[1].Text != "new" || entries[2].Text != "any" {
		t.Errorf("without the old version: %+v", entries)
	}
	b.RefusedVersion("v1", "the vault forbids it")
	if e := b.Since(0).Entries[0]; e.Problem != "this pod has no key of version v1: the vault forbids it" || !b.Since(0).Status.Active {
		t.Errorf("refused: %+v", e)
	}
	b.DecryptVersion(message.Key{Private: old, Name: "k", Version: "v1"})
	b.Add(board.Message{Offset: 4, Value: []byte(value), Version: "v1"})
	entries = b.Since(0).Entries
	if entries[0].Text != "old" || entries[0].Version != "v1" || entries[3].Text != "old" || entries[1].Version != "v2" {
		t.Errorf("with the old version: %+v", entries)
	}
}

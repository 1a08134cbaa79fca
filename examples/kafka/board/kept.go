package board

import "skr/examples/kafka/message"

// Sealed is a message that waits for the sidecar to decrypt it.
type Sealed struct{ ID, Text string }

// Opened is what the sidecar made of a message: its text, or why it cannot be decrypted.
type Opened struct {
	ID, Text string
	Problem  error
}

// Pending returns at most limit messages that wait for a key that stays in the sidecar, oldest
// first.
func (b *Board) Pending(key message.Key, limit int) (pending []Sealed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.entries {
		if e := &b.entries[i]; e.State == Encrypted && b.waitsFor(e, key) && len(pending) < limit {
			pending = append(pending, Sealed{e.ID, e.sealed})
		}
	}
	return pending
}

// waitsFor reports whether the key is the one that the message names. A message without a
// version is for the first key. The caller holds the lock.
func (b *Board) waitsFor(e *entry, key message.Key) bool {
	if e.version == "" {
		return key.Version == b.key.Version
	}
	return e.version == key.Version
}

// Opened shows what the sidecar decrypted. A refusal before it is over.
func (b *Board) Opened(key message.Key, all []Opened) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.change()
	if key.Version == b.key.Version && !b.status.Active {
		b.status = Status{Active: true, Key: key.Name, Version: key.Version, Kept: true, Broker: b.status.Broker}
		b.statusAt = at
	}
	results := make(map[string]Opened, len(all))
	for _, one := range all {
		results[one.ID] = one
	}
	for i := range b.entries {
		if one, found := results[b.entries[i].ID]; found {
			b.entries[i].settle(key, one)
			b.entries[i].changedAt = at
		}
	}
}

// settle shows the text, or the error.
func (e *entry) settle(key message.Key, one Opened) {
	if one.Problem != nil {
		e.State, e.Problem, e.Text = Bad, one.Problem.Error(), shown(e.sealed)
		return
	}
	e.State, e.Problem, e.Text = Decrypted, "", one.Text
	e.Ciphertext, e.Key, e.Version = shown(e.sealed), key.Name, key.Version
}

// Package board holds what the page shows: whether messages are decrypted, and the
// last of them. Whoever shows it asks what changed since a revision:
//
//	changed := b.Changed()
//	update := b.Since(revision)
//	…
//	<-changed
//
// A reader that is slow, or gone, costs nothing: nothing is queued for it. A
// message that arrived before the key is decrypted when the key arrives.
package board

import (
	"slices"
	"sync"

	"skr/examples/kafka/message"
)

// Board is safe for concurrent use.
type Board struct {
	limit int

	mu       sync.Mutex
	key      message.Key   // none until it is released
	revision uint64        // of the last change
	changed  chan struct{} // closed at the next change
	status   Status
	statusAt uint64  // revision of status
	entries  []entry // oldest first, at most limit
	received uint64
}

// New keeps the last limit messages.
func New(limit int) *Board {
	return &Board{limit: limit, changed: make(chan struct{}), status: Status{Reason: "the key has been asked for; there is no answer yet"}, statusAt: 1, revision: 1}
}

// Status says whether messages are decrypted, and if not, why.
type Status struct {
	// Active is true once the key is here.
	Active bool `json:"active"`
	// Reason why it is not, a sentence.
	Reason string `json:"reason"`
	// Code of skr's refusal, "" where skr did not refuse.
	Code string `json:"code"`
	// RequestID finds the refusal in skr's log.
	RequestID string `json:"request_id"`
	// Key is the name of the key that is here, Version its version; "" if unknown.
	Key     string `json:"key"`
	Version string `json:"version"`
	// Broker is why Kafka cannot be reached, "" if it can.
	Broker string `json:"broker"`
}

// Update is what a reader does not have yet.
type Update struct {
	// Revision to ask with next.
	Revision uint64
	// Status, nil if it is as before.
	Status *Status
	// Entries that are new or changed, oldest first.
	Entries []Entry
}

// Changed is closed at the next change.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Since returns all that changed after the revision; 0, or a revision that was
// never reached (as after a restart), returns everything.
func (b *Board) Since(revision uint64) Update {
	b.mu.Lock()
	defer b.mu.Unlock()
	if revision > b.revision {
		revision = 0
	}
	update := Update{Revision: b.revision}
	if b.statusAt > revision {
		status := b.status
		update.Status = &status
	}
	for _, e := range b.entries {
		if e.changedAt > revision {
			update.Entries = append(update.Entries, e.Entry)
		}
	}
	return update
}

// Refused says why there is no key.
func (b *Board) Refused(reason, code, requestID string) {
	b.setStatus(func(s *Status) { s.Active, s.Reason, s.Code, s.RequestID = false, reason, code, requestID })
}

// Broker says why Kafka cannot be reached; "" that it can.
func (b *Board) Broker(problem string) {
	b.setStatus(func(s *Status) { s.Broker = problem })
}

func (b *Board) setStatus(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.status
	if change(&b.status); b.status == before {
		return
	}
	b.statusAt = b.change()
	for i := range b.entries {
		if b.entries[i].wait(b.status) {
			b.entries[i].changedAt = b.statusAt
		}
	}
}

// Decrypt uses the key for all that is here and all that comes.
func (b *Board) Decrypt(key message.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.key = key
	b.status = Status{Active: true, Key: key.Name, Version: key.Version, Broker: b.status.Broker}
	b.statusAt = b.change()
	for i := range b.entries {
		b.entries[i].open(key)
		b.entries[i].changedAt = b.statusAt
	}
}

// Add a message; the oldest gives way. A record that is read again, as when the
// client had to go back, takes the place of what it was.
func (b *Board) Add(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received++
	added := newEntry(m, b.received)
	if b.key.Private != nil {
		added.open(b.key)
	} else {
		added.wait(b.status)
	}
	added.changedAt = b.change()
	b.entries = slices.DeleteFunc(b.entries, func(e entry) bool { return e.ID == added.ID })
	if len(b.entries) == b.limit {
		b.entries = slices.Delete(b.entries, 0, 1)
	}
	b.entries = append(b.entries, added)
}

// change wakes the readers; the caller holds the lock.
func (b *Board) change() uint64 {
	b.revision++
	close(b.changed)
	b.changed = make(chan struct{})
	return b.revision
}

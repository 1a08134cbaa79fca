// Package board holds what the page shows: whether messages are decrypted, and
// the last messages. A reader asks what changed since a revision:
//
//	changed := b.Changed()
//	update := b.Since(revision)
//	…
//	<-changed
//
// Nothing is queued for a reader, so a slow or disconnected reader costs
// nothing. When the key arrives, the board decrypts the messages that arrived
// before it.
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
	key      message.Key            // zero until it is released
	versions map[string]message.Key // other versions, for messages that name them
	revision uint64                 // of the last change
	changed  chan struct{}          // closed on the next change
	status   Status
	statusAt uint64  // revision of status
	entries  []entry // oldest first, at most limit
	received uint64
}

// New returns a board that keeps the last limit messages.
func New(limit int) *Board {
	return &Board{
		limit: limit, versions: map[string]message.Key{}, changed: make(chan struct{}),
		status: Status{Reason: "the key was requested; no answer has arrived yet"}, statusAt: 1, revision: 1,
	}
}

// Status reports whether messages are decrypted, and if not, why.
type Status struct {
	// Active is true once the key has been released.
	Active bool `json:"active"`
	// Reason is why messages are not decrypted, a sentence.
	Reason string `json:"reason"`
	// Code is the code of skr's refusal; "" if skr did not refuse.
	Code string `json:"code"`
	// RequestID identifies the refusal in skr's log.
	RequestID string `json:"request_id"`
	// Key is the name of the released key and Version its version; "" if
	// unknown.
	Key     string `json:"key"`
	Version string `json:"version"`
	// Kept is true if the key stays in the sidecar, which decrypts.
	Kept bool `json:"kept"`
	// Broker is why Kafka is unreachable; "" if it is reachable.
	Broker string `json:"broker"`
}

// Update is what a reader does not have yet.
type Update struct {
	// Revision is the revision for the next call of Since.
	Revision uint64
	// Status is nil if it has not changed.
	Status *Status
	// Entries are the new and changed entries, oldest first.
	Entries []Entry
}

// Changed returns a channel that is closed on the next change.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Since returns all changes after the revision. 0, or a revision that was never
// reached (as after a restart), returns everything.
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

// Refused records why there is no key.
func (b *Board) Refused(reason, code, requestID string) {
	b.setStatus(func(s *Status) { s.Active, s.Reason, s.Code, s.RequestID = false, reason, code, requestID })
}

// Broker records why Kafka is unreachable; "" means that it is reachable.
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

// Decrypt uses the key for all present and future messages that name its
// version or none.
func (b *Board) Decrypt(key message.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.key = key
	b.status = Status{Active: true, Key: key.Name, Version: key.Version, Kept: key.Private == nil, Broker: b.status.Broker}
	b.statusAt = b.change()
	for i := range b.entries {
		if e := &b.entries[i]; e.fits(key) && key.Private != nil {
			e.open(key)
		} else {
			e.wait(b.status)
		}
		b.entries[i].changedAt = b.statusAt
	}
}

// DecryptVersion uses the key for the messages that name its version.
func (b *Board) DecryptVersion(key message.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if key.Private == nil {
		return // the sidecar has it: see Pending
	}
	b.versions[key.Version] = key
	b.eachOf(key.Version, func(e *entry) { e.open(key) })
}

// RefusedVersion records why messages that name this version cannot be
// decrypted yet.
func (b *Board) RefusedVersion(version, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.eachOf(version, func(e *entry) { e.Problem = "this pod has no key of version " + version + ": " + reason })
}

// eachOf changes the messages of a version that wait for its key. The caller
// holds the lock.
func (b *Board) eachOf(version string, change func(*entry)) {
	at := b.change()
	for i := range b.entries {
		if e := &b.entries[i]; e.version == version && e.State == Encrypted {
			change(e)
			e.changedAt = at
		}
	}
}

// keyFor returns the key for an entry. The caller holds the lock.
func (b *Board) keyFor(e entry) (key message.Key, found bool) {
	if b.key.Private != nil && e.fits(b.key) {
		return b.key, true
	}
	key, found = b.versions[e.version]
	return key, found
}

// Add adds a message and drops the oldest. A record that is read again, as when
// the client went back, replaces its earlier entry.
func (b *Board) Add(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received++
	added := newEntry(m, b.received)
	if key, found := b.keyFor(added); found {
		added.open(key)
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

// change wakes the readers. The caller holds the lock.
func (b *Board) change() uint64 {
	b.revision++
	close(b.changed)
	b.changed = make(chan struct{})
	return b.revision
}

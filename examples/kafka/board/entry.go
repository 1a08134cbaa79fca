package board

import (
	"fmt"
	"strings"
	"time"

	"skr/examples/kafka/message"
)

const (
	maxValue = 4096 // characters; a message for RSA-16384 has 2732
	maxShown = 1024 // characters of a message that cannot be decrypted
)

// Message is a message as it came from Kafka.
type Message struct {
	Partition int32
	Offset    int64
	Time      time.Time
	Value     []byte
	// Version is the version of the key that the record names; "" if none.
	Version string
}

// State is the state of an entry.
type State string

// The states.
const (
	Decrypted State = "decrypted"
	Encrypted State = "encrypted" // no key yet
	Bad       State = "bad"       // this message cannot be decrypted
)

// Entry is a message as shown on the page.
type Entry struct {
	// ID is the same for the same record, even after a restart.
	ID string `json:"id"`
	// Number counts messages from 1 in the order of arrival.
	Number    uint64    `json:"number"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"`
	State     State     `json:"state"`
	// Text is the plain text if State is Decrypted, and otherwise what came
	// through Kafka.
	Text string `json:"text"`
	// Ciphertext is a decrypted message as it came through Kafka.
	Ciphertext string `json:"ciphertext,omitempty"`
	// Key and Version identify the key that decrypted it.
	Key     string `json:"key,omitempty"`
	Version string `json:"version,omitempty"`
	// Problem is why the message is not decrypted.
	Problem string `json:"problem,omitempty"`
}

// entry is an Entry with its source.
type entry struct {
	Entry
	sealed    string // "" if it can never be decrypted
	version   string // of the key; "" if the message names none
	changedAt uint64
}

func newEntry(m Message, number uint64) entry {
	e := entry{version: m.Version, Entry: Entry{
		ID: fmt.Sprintf("p%d-o%d", m.Partition, m.Offset), Number: number,
		Partition: m.Partition, Offset: m.Offset, Time: m.Time.UTC(), State: Encrypted,
	}}
	if len(m.Value) > maxValue {
		e.State, e.Problem = Bad, fmt.Sprintf("it has %d bytes, too many for a message", len(m.Value))
		m.Value = m.Value[:maxShown]
	} else {
		e.sealed = string(m.Value)
	}
	e.Text = shown(string(m.Value))
	return e
}

// fits reports whether the key is of the version that the message names.
func (e *entry) fits(key message.Key) bool { return e.version == "" || e.version == key.Version }

// open decrypts the entry or records why it cannot.
func (e *entry) open(key message.Key) {
	if e.sealed == "" && e.State == Bad {
		return
	}
	plain, err := message.Decrypt(key.Private, e.sealed)
	e.settle(key, Opened{e.ID, plain, err})
}

// wait records why there is no key yet. It reports whether the entry changed.
func (e *entry) wait(s Status) (changed bool) {
	if e.State != Encrypted {
		return false
	}
	problem := "this pod has no key: " + s.Reason
	switch {
	case s.Active && s.Kept && (e.version == "" || e.version == s.Version):
		problem = "the sidecar was asked to decrypt it; no answer has arrived yet"
	case s.Active:
		problem = "version " + e.version + " of the key was requested; no answer has arrived yet"
	}
	if s.Code != "" { // the page already shows the reason once, and it may be long
		problem = "this pod has no key: the release was refused (" + s.Code + ")"
	}
	changed, e.Problem = e.Problem != problem, problem
	return changed
}

// shown returns a bounded text that is valid in JSON and HTML.
func shown(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}

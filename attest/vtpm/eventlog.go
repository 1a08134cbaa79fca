package vtpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// MaxLog bounds a log in bytes; those of virtual machines have some 40 KiB.
	MaxLog        = 8 << 20
	maxAlgorithms = 16
	specID        = "Spec ID Event03\x00" // PFP, TCG_EfiSpecIDEvent
	localityID    = "StartupLocality\x00" // PFP, TCG_EfiStartupLocalityEvent
	sha1Size      = 20
)

// ErrNoLog says that there is no event log, as where the kernel was started without
// the EFI stub. It is not a log that is wrong.
var ErrNoLog = errors.New("there is no event log")

// Event is one line of a log. Its digest has gone into the PCR; whether Data is
// what the digest was made of depends on Type. Who may write the log may write any
// Type and Data beside a digest.
type Event struct {
	PCR    int
	Type   EventType
	Digest Digest
	Data   []byte
}

// EventLog is a crypto-agile log with SHA-256 digests. It is made only by
// ParseEventLog and never changes. It proves nothing before Explain.
type EventLog struct {
	events   []Event
	locality byte // that PCR 0 starts with
	located  bool // the locality was told
}

// ParseEventLog reads the content of the kernel's binary_bios_measurements, which
// is to be read to its end, as its size is given as 0. Its error is ErrNoLog for
// none. A log that has a header and no events is well-formed.
func ParseEventLog(data []byte) (*EventLog, error) {
	if len(data) == 0 {
		return nil, ErrNoLog
	}
	log, err := parseEventLog(data)
	if err != nil {
		return nil, fmt.Errorf("parsing the event log: %w", err)
	}
	return log, nil
}

// IsEventLog reports whether data begins as a crypto-agile log, or is one of SHA-1 in the
// old form, which ParseEventLog refuses by name.
func IsEventLog(data []byte) bool {
	return isAgileLog(data) || isSHA1Log(data)
}

func isAgileLog(data []byte) bool {
	return len(data) >= minSHA1Event+len(specID) && string(data[minSHA1Event:minSHA1Event+len(specID)]) == specID
}

func parseEventLog(data []byte) (*EventLog, error) {
	if len(data) > MaxLog {
		return nil, fmt.Errorf("it has more than %d bytes", MaxLog)
	}
	if !isAgileLog(data) && isSHA1Log(data) {
		return nil, logOfOtherBanks(map[uint16]uint64{algorithmSHA1: sha1Size})
	}
	c := &cursor{rest: data, order: binary.LittleEndian}
	sizes, err := parseSpecID(c)
	if err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	log := &EventLog{}
	for len(c.rest) > 0 {
		event, err := parseEvent(c, sizes)
		if err == nil {
			err = log.add(event)
		}
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", len(log.events)+1, err)
		}
	}
	return log, nil
}

// parseSpecID reads the first event, which has the old form and says how long the
// digests of each algorithm are. Their order is not that of the events' digests.
func parseSpecID(c *cursor) (map[uint16]uint64, error) {
	c.next(4) // PCR 0
	if kind := EventType(c.u32()); kind != NoAction && c.err == nil {
		return nil, fmt.Errorf("its type is %s, want %s", kind, NoAction)
	}
	c.next(sha1Size)
	h := cursor{rest: c.next(c.number(4)), order: c.order}
	if c.err != nil {
		return nil, c.err
	}
	if string(h.next(uint64(len(specID)))) != specID {
		return nil, errors.New("this is no crypto-agile log")
	}
	h.next(8) // platform class, version of the specification, size of UINTN
	sizes := make(map[uint16]uint64)
	for count := h.u32(); count > 0 && h.err == nil; count-- {
		if algorithm, size := h.u16(), h.number(2); h.err == nil {
			sizes[algorithm] = size
		}
	}
	h.next(h.number(1)) // vendor's information
	switch {
	case h.end() != nil:
		return nil, h.end()
	case len(sizes) > maxAlgorithms:
		return nil, fmt.Errorf("it has more than %d algorithms", maxAlgorithms)
	case sizes[algorithmHash] == 0:
		return nil, logOfOtherBanks(sizes)
	case sizes[algorithmHash] != sha256.Size:
		return nil, fmt.Errorf("its digests of SHA-256 have %d bytes, want %d", sizes[algorithmHash], sha256.Size)
	}
	return sizes, nil
}

// parseEvent reads a TCG_PCR_EVENT2 (PFP, "Crypto Agile Log Entry Format").
func parseEvent(c *cursor, sizes map[uint16]uint64) (Event, error) {
	pcr, kind := c.u32(), EventType(c.u32())
	digests, err := parseDigests(c, sizes)
	if err != nil {
		return Event{}, err
	}
	e := Event{Type: kind, Data: bytes.Clone(c.next(c.number(4)))}
	if c.err != nil {
		return Event{}, c.err
	}
	if pcr >= PCRCount && kind != NoAction { // what extends nothing names any PCR
		return Event{}, fmt.Errorf("there is no PCR %d", pcr)
	}
	e.PCR = int(pcr)
	digest, found := digests[algorithmHash]
	if !found {
		return Event{}, errors.New("it has no SHA-256 digest")
	}
	e.Digest = Digest(digest)
	return e, nil
}

// parseDigests reads a TPML_DIGEST_VALUES.
func parseDigests(c *cursor, sizes map[uint16]uint64) (map[uint16][]byte, error) {
	digests := make(map[uint16][]byte)
	for count := c.u32(); count > 0 && c.err == nil; count-- {
		algorithm := c.u16()
		size, known := sizes[algorithm]
		_, twice := digests[algorithm]
		switch {
		case c.err != nil:
			return nil, c.err
		case !known:
			return nil, fmt.Errorf("the algorithm %#x of a digest is not in the header", algorithm)
		case twice:
			return nil, fmt.Errorf("there are two digests of the algorithm %#x", algorithm)
		}
		digests[algorithm] = c.next(size)
	}
	return digests, c.err
}

// add also finds the locality of the start, which must be told before PCR 0 is
// extended for the first time.
func (l *EventLog) add(e Event) error {
	data, is := bytes.CutPrefix(e.Data, []byte(localityID))
	if e.Type == NoAction && is {
		if len(data) != 1 || l.located || l.extended(0) > 0 {
			return errors.New("the locality of the start is malformed, or told too late")
		}
		l.locality, l.located = data[0], true
	}
	l.events = append(l.events, e)
	return nil
}

func (l *EventLog) extended(pcr int) (count int) {
	for _, e := range l.events {
		if e.PCR == pcr && e.Type != NoAction {
			count++
		}
	}
	return count
}

// Events are those behind the header. The caller must not change their data.
func (l *EventLog) Events() []Event { return l.events }

package vtpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// MaxLog bounds a log in bytes. Logs of virtual machines have about 40 KiB.
	MaxLog        = 8 << 20
	maxAlgorithms = 16
	specID        = "Spec ID Event03\x00" // PFP, TCG_EfiSpecIDEvent
	localityID    = "StartupLocality\x00" // PFP, TCG_EfiStartupLocalityEvent
	sha1Size      = 20
)

// ErrNoLog means that the log is empty, for example because the kernel was started without
// the EFI stub.
var ErrNoLog = errors.New("there is no event log")

// Event is one entry of a log. Its digest extends the PCR. Whether Data is what was hashed
// depends on Type. The author of the log can combine any Type and Data with a digest.
type Event struct {
	PCR    int
	Type   EventType
	Digest Digest
	Data   []byte
}

// EventLog is a crypto-agile log with SHA-256 digests. It is made only by ParseEventLog and
// is immutable. It proves nothing before [EventLog.Explain].
type EventLog struct {
	events   []Event
	locality byte // the initial value of PCR 0
	located  bool // the log states the locality
}

// ParseEventLog parses the content of the kernel's binary_bios_measurements. (Read that file
// to its end, because its size is given as 0.) Its error is [ErrNoLog] if data is empty. A
// log that has a header and no events is well-formed.
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

// IsEventLog reports whether data begins as a crypto-agile log, or is a SHA-1 log in the old
// form, for which ParseEventLog has its own error.
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

// parseSpecID parses the first event, which has the old form and contains the sizes of each
// algorithm's digests. Events may have their digests in another order.
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

// parseEvent parses a TCG_PCR_EVENT2 (PFP, "Crypto Agile Log Entry Format").
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
	if pcr >= PCRCount && kind != NoAction { // NoAction extends no PCR and may name any
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

// parseDigests parses a TPML_DIGEST_VALUES.
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

// add also reads the startup locality, which must precede the first event of PCR 0.
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

// Events returns the events after the header. The caller must not change their data.
func (l *EventLog) Events() []Event { return l.events }

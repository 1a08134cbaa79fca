package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	kindOpened    = "opened"
	kindRecovered = "recovered"
	kindRelease   = "release"
	kindWithheld  = "withheld"

	domain     = "skr-audit-1\n" // no other use of SHA-256 hashes the same bytes
	timeLayout = "2006-01-02T15:04:05.000000Z"
	firstBytes = `{"seq":` // of each record
	hashMember = `,"hash":"`
	lastBytes  = `"}`
	endLength  = len(hashMember) + 2*sha256.Size + len(lastBytes)
)

// Limits in bytes. JSON makes at most six bytes of one, so that no record is
// longer than maxRecord.
const (
	maxRequestID = 64
	maxCaller    = 192
	maxKey       = 320 // a host of Azure has under 100, /keys/ 6, a name 127, a version 33
	maxAuthority = 253 // the longest DNS name (RFC 1035, 2.3.4)
	maxPolicy    = 64  // a SHA-256 in hexadecimal
	maxResult    = 32
	maxVersion   = 64
	maxRecord    = 8 << 10
	usualRecord  = 1 << 10
)

// Record is one line. Which members it has depends on its kind.
type Record struct {
	Seq       uint64 `json:"seq"`
	Time      string `json:"time"`
	Kind      string `json:"kind"`
	Version   string `json:"version,omitempty"` // opened, recovered
	*Torn            // recovered
	*Entry           // release
	*Withheld        // withheld
	Prev      string `json:"prev"`
	Hash      string `json:"-"` // stands behind what it is the hash of
}

// Torn describes the bytes between the last record and the newline that ends them.
type Torn struct {
	Bytes  int    `json:"torn_bytes"`
	SHA256 string `json:"torn_sha256"`
}

// Withheld counts refusals that have no record of their own.
type Withheld struct {
	Count int `json:"withheld"`
}

// errFragment is a line that may be the beginning of a record.
var errFragment = errors.New("is not a whole record, and no record says that it was torn")

// encode sets the hash and returns the line, with its newline.
func (r *Record) encode() ([]byte, error) {
	text := bytes.NewBuffer(make([]byte, 0, usualRecord))
	if err := json.NewEncoder(text).Encode(r); err != nil {
		return nil, fmt.Errorf("encoding an audit record: %w", err)
	}
	body := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	r.Hash = hash(body)
	line := append(body[:len(body)-1], hashMember...)
	line = append(line, r.Hash...)
	return append(line, lastBytes+"\n"...), nil
}

func hash(body []byte) string {
	sum := sha256.Sum256(append([]byte(domain), body...))
	return hex.EncodeToString(sum[:])
}

// decode reads a line without its newline. A text that is not exactly what
// encode writes is no record: so there is one way only to read it.
func decode(line []byte) (*Record, error) {
	body, sum, ok := split(line)
	switch {
	case !ok && beginsLikeRecord(line):
		return nil, errFragment
	case !ok || !beginsLikeRecord(line):
		return nil, errors.New("is no record")
	case hash(body) != sum:
		return nil, errors.New("has been changed: its hash is another")
	}
	r := &Record{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, errors.New("is no record, though its hash fits")
	}
	again, err := r.encode()
	if err != nil || !bytes.Equal(again[:len(again)-1], line) || !r.valid() {
		return nil, errors.New("is not as skr writes a record, though its hash fits")
	}
	return r, nil
}

// split takes a whole line apart: what is hashed, and the hash. Within a text of
// JSON a quote is escaped, so the hash member's name cannot be part of a value.
func split(line []byte) (body []byte, sum string, ok bool) {
	at := len(line) - endLength
	if at < 0 || !bytes.HasPrefix(line[at:], []byte(hashMember)) || !bytes.HasSuffix(line, []byte(lastBytes)) {
		return nil, "", false
	}
	sum = string(line[at+len(hashMember) : len(line)-len(lastBytes)])
	return append(bytes.Clone(line[:at]), '}'), sum, true
}

// beginsLikeRecord is true also for the first few bytes of a record.
func beginsLikeRecord(line []byte) bool {
	return bytes.HasPrefix(line, []byte(firstBytes)) || bytes.HasPrefix([]byte(firstBytes), line)
}

// valid reports whether the record has a canonical time and exactly the members of its kind.
func (r *Record) valid() bool {
	at, err := time.Parse(timeLayout, r.Time)
	if err != nil || at.Format(timeLayout) != r.Time {
		return false
	}
	want, known := membersOf[r.Kind]
	return known && r.members() == want && (r.Withheld == nil || r.Count > 0)
}

// members says which of the optional members a record has.
type members struct{ version, torn, entry, withheld bool }

var membersOf = map[string]members{
	kindOpened:    {version: true},
	kindRecovered: {version: true, torn: true},
	kindRelease:   {entry: true},
	kindWithheld:  {withheld: true},
}

func (r *Record) members() members {
	return members{r.Version != "", r.Torn != nil, r.Entry != nil, r.Withheld != nil}
}

// at returns the record's time, which valid has checked.
func (r *Record) at() time.Time {
	t, _ := time.Parse(timeLayout, r.Time)
	return t
}

// clipped is the entry within its limits. Its texts come from outside.
func (e Entry) clipped() *Entry {
	return &Entry{
		RequestID:    clip(e.RequestID, maxRequestID),
		Caller:       clip(e.Caller, maxCaller),
		Key:          clip(e.Key, maxKey),
		Released:     clip(e.Released, maxKey),
		Authority:    clip(e.Authority, maxAuthority),
		PolicySHA256: clip(e.PolicySHA256, maxPolicy),
		Result:       clip(e.Result, maxResult),
	}
}

// clip replaces what a terminal might take for a command or cannot show,
// and cuts the text.
func clip(text string, limit int) string {
	if len(text) <= limit && isPlain(text) {
		return text
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text)
	if len(text) <= limit {
		return text
	}
	cut := limit - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// isPlain reports whether text is printable ASCII, as most texts are.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

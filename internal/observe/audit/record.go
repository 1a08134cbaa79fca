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
	kindUse       = "use"
	kindWithheld  = "withheld"

	domain     = "skr-audit-1\n" // no other use of SHA-256 hashes the same bytes
	timeLayout = "2006-01-02T15:04:05.000000Z"
	firstBytes = `{"seq":` // every record begins with this
	hashMember = `,"hash":"`
	lastBytes  = `"}`
	endLength  = len(hashMember) + 2*sha256.Size + len(lastBytes)
)

// Limits in bytes. JSON encodes one byte as at most six, so no record is longer than maxRecord.
const (
	maxRequestID = 64
	maxCaller    = 192
	maxKey       = 320 // a host of Azure has under 100, /keys/ 6, a name 127, a version 33 bytes
	maxAuthority = 253 // the longest DNS name (RFC 1035, 2.3.4)
	maxPolicy    = 64  // a SHA-256 in hexadecimal
	maxResult    = 32
	maxVersion   = 64
	maxRecord    = 8 << 10
	usualRecord  = 1 << 10
)

// Record is one line. Its kind determines its members.
type Record struct {
	Seq       uint64 `json:"seq"`
	Time      string `json:"time"`
	Kind      string `json:"kind"`
	Version   string `json:"version,omitempty"` // opened, recovered
	*Torn            // recovered
	*Entry           // release, use
	*Use             // use
	*Withheld        // withheld
	Prev      string `json:"prev"`
	Hash      string `json:"-"` // not hashed itself
}

// Torn describes the bytes between the last record and the newline that ends them.
type Torn struct {
	Bytes  int    `json:"torn_bytes"`
	SHA256 string `json:"torn_sha256"`
}

// Use describes operations with a key that was not given out. Append truncates the operation.
type Use struct {
	// Operation is that of every item, such as "decrypt".
	Operation string `json:"operation"`
	// Items is the number of inputs, and Failed that of those without a result.
	Items  int `json:"items"`
	Failed int `json:"failed"`
}

// Withheld counts refusals that have no record of their own.
type Withheld struct {
	Count int `json:"withheld"`
}

// errFragment is the error of a line that may be the beginning of a record.
var errFragment = errors.New("is not a complete record, and no later record describes it as torn")

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

// decode parses a line without its newline. It refuses a text that is not exactly what encode writes, so
// that a record has only one form.
func decode(line []byte) (*Record, error) {
	body, sum, ok := split(line)
	switch {
	case !ok && beginsLikeRecord(line):
		return nil, errFragment
	case !ok || !beginsLikeRecord(line):
		return nil, errors.New("is not a record")
	case hash(body) != sum:
		return nil, errors.New("was modified: hash mismatch")
	}
	r := &Record{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, errors.New("is not a record, although its hash is correct")
	}
	again, err := r.encode()
	if err != nil || !bytes.Equal(again[:len(again)-1], line) || !r.valid() {
		return nil, errors.New("is not in the form that skr writes, although its hash is correct")
	}
	return r, nil
}

// split splits a line into the hashed text and the hash. JSON escapes quotes in strings, so the name of
// the member hash cannot be part of a value.
func split(line []byte) (body []byte, sum string, ok bool) {
	at := len(line) - endLength
	if at < 0 || !bytes.HasPrefix(line[at:], []byte(hashMember)) || !bytes.HasSuffix(line, []byte(lastBytes)) {
		return nil, "", false
	}
	sum = string(line[at+len(hashMember) : len(line)-len(lastBytes)])
	return append(bytes.Clone(line[:at]), '}'), sum, true
}

// beginsLikeRecord reports whether line begins like a record, or is the beginning of one.
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
type members struct{ version, torn, entry, use, withheld bool }

var membersOf = map[string]members{
	kindOpened:    {version: true},
	kindRecovered: {version: true, torn: true},
	kindRelease:   {entry: true},
	kindUse:       {entry: true, use: true},
	kindWithheld:  {withheld: true},
}

func (r *Record) members() members {
	return members{r.Version != "", r.Torn != nil, r.Entry != nil, r.Use != nil, r.Withheld != nil}
}

// at returns the record's time, which valid has checked.
func (r *Record) at() time.Time {
	t, _ := time.Parse(timeLayout, r.Time)
	return t
}

// clipped returns the entry within its limits. Its texts are untrusted.
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

// clip replaces characters that cannot be printed, such as control sequences, and truncates the text.
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

// Package audit keeps a record of each release: who asked, for which key, through
// which authority, under which policy, and how it ended. It never holds key
// material, tokens or evidence.
//
//	log, err := audit.Open("/var/log/skr/audit.log", version)
//	…
//	if err := log.Append(audit.Entry{Caller: caller, Key: key, Result: audit.Released}); err != nil {
//		return err // a release that cannot be recorded is not made
//	}
//
// A record is one line of JSON without white space, its members in a fixed order:
//
//	{"seq":2,"time":"2026-01-31T12:00:00.000000Z","kind":"release",…,"prev":"<hex>","hash":"<hex>"}
//
// Records are numbered from 1. Each carries the hash of the one before (prev; 64
// zeros in the first) and its own:
//
//	hash = SHA-256("skr-audit-1\n" ‖ line without `,"hash":"<hex>"`)
//
// in lower-case hexadecimal; the line is taken without its newline. As prev is
// within what is hashed, a record that is changed, removed, inserted, repeated or
// moved breaks the chain, and [Verify] says where. The kinds are
//
//	opened     skr began to write: at its start, or again after a failed write
//	recovered  the same, where the file ended in a torn line (a crash, a full
//	           disk): how many bytes follow the last record, and their SHA-256
//	release    a release that was made or refused: the members of [Entry]
//	withheld   how many refusals have no record of their own. A caller that is refused
//	           again and again must not push out the records of releases
//
// Without a file of its own the log takes the records ([ToLogger]); there each
// start begins a new chain.
//
// # What a chain does not show
//
// There is no secret in it. A process that may write the file can write all of it anew
// from some record on, and the file does not show that its end was cut off. Keep the hash of a recent record (the head) elsewhere and give it to
// Verify, or ship the lines off the machine as they are written.
//
// A record survives the crash of skr, and not that of the machine: there is no
// fsync for each line, only in Close. The file grows; the package never removes
// or renames it. To begin a new one, move it away while skr is stopped.
package audit

import (
	"fmt"
	"sync"
	"time"
)

// Released is the result of a release that was made. Any other result is the
// code of the refusal.
const Released = "released"

// Entry is what there is to know about one release. A text that is longer than
// its limit (see record.go) is cut, and what cannot be printed is replaced.
type Entry struct {
	// RequestID is what the log calls the request.
	RequestID string `json:"request_id"`
	// Caller is who asked.
	Caller string `json:"caller"`
	// Key is the key as it was asked for, https://HOST/keys/NAME[/VERSION]; ""
	// where the request named none that is allowed.
	Key string `json:"key"`
	// Released is the full id, with version, of the key that was released; empty
	// if none was.
	Released string `json:"released"`
	// Authority is the attestation service.
	Authority string `json:"authority"`
	// PolicySHA256 is the hash of the key's release policy; empty if unknown.
	PolicySHA256 string `json:"policy_sha256"`
	// Result is Released, or the code of the refusal.
	Result string `json:"result"`
	// Budget is the name under which refusals are counted, such as that of the caller
	// without its process. It is not recorded.
	Budget string `json:"-"`
}

// Log appends records to a chain. It is safe for concurrent use.
type Log struct {
	version  string
	refusals budgets

	mu     sync.Mutex
	later  *time.Timer // of a record that counts refusals
	closed bool
	out    sink
	chain  chain // as written
	failed error // of the last write; while it is set, what was written is unknown
}

// sink is where the lines of a chain go.
type sink interface {
	// resume says which chain the next record continues, from what was really
	// written.
	resume() (chain, error)
	// write writes one line, with its newline.
	write(line []byte) error
	close() error
}

// open makes a log and writes its first record.
func open(out sink, version string) (*Log, error) {
	if version == "" {
		version = "unknown"
	}
	l := &Log{version: clip(version, maxVersion), out: out}
	l.failed = l.begin()
	return l, l.failed
}

// Append writes one record. With an error the record was not written, or not
// wholly: the release must then be refused. The next Append first mends what the
// failed one left behind.
//
// Refusals have a budget, by [Entry.Budget]. Beyond it Append returns nil and writes
// none; a record of another kind says within a minute how many these were.
func (l *Log) Append(e Entry) error {
	if e.Result != Released {
		ok, begun := l.refusals.spend(e.Budget, time.Now())
		if begun {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.countLater()
		}
		if !ok {
			return nil
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = l.append(Record{Kind: kindRelease, Entry: e.clipped()})
	return l.failed
}

func (l *Log) append(r Record) error {
	if l.failed != nil {
		if err := l.begin(); err != nil {
			return err
		}
	}
	return l.add(r)
}

// begin finds the end of the chain, and says that we write from here on.
func (l *Log) begin() (err error) {
	if l.chain, err = l.out.resume(); err != nil {
		return err
	}
	r := Record{Kind: kindOpened, Version: l.version}
	if l.chain.isTorn() {
		r.Kind, r.Torn = kindRecovered, l.chain.describeTorn()
	}
	return l.add(r)
}

func (l *Log) add(r Record) error {
	line, err := l.chain.next(&r)
	if err != nil {
		return err
	}
	if err := l.out.write(line); err != nil {
		return fmt.Errorf("writing audit record %d: %w", r.Seq, err)
	}
	l.chain.advance(&r)
	return nil
}

// Err is the error of the last write, nil if it succeeded: whether a release can
// be recorded.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Head is the hash of the last record. Kept elsewhere, it shows later that
// nothing up to it was changed or cut off.
func (l *Log) Head() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.chain.head
}

// Close brings the records to the disk. Append fails afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count()
	l.closed = true
	if l.later != nil {
		l.later.Stop()
	}
	if err := l.out.close(); err != nil {
		return fmt.Errorf("closing the audit file: %w", err)
	}
	return nil
}

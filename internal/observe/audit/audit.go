// Package audit keeps a record of each release: the caller, the key, the authority, the policy and the
// result. Records never contain key material, tokens or evidence.
//
//	log, err := audit.Open("/var/log/skr/audit.log", version)
//	…
//	if err := log.Append(audit.Entry{Caller: caller, Key: key, Result: audit.Released}); err != nil {
//		return err // do not release the key
//	}
//
// A record is one line of JSON without white space. Its members are in a fixed order:
//
//	{"seq":2,"time":"2026-01-31T12:00:00.000000Z","kind":"release",…,"prev":"<hex>","hash":"<hex>"}
//
// Records are numbered from 1. Each has the hash of the previous record (prev; 64 zeros in the first)
// and its own:
//
//	hash = SHA-256("skr-audit-1\n" ‖ line without `,"hash":"<hex>"`)
//
// in lower-case hexadecimal. The line is hashed without its newline. Because prev is hashed too, a record
// that is changed, removed, inserted, repeated or moved breaks the chain, and [Verify] returns its line.
// The kinds are
//
//	opened     skr began to write, at its start or after a failed write
//	recovered  like opened, after a torn line (a crash, a full disk): the number of
//	           bytes after the last record, and their SHA-256
//	release    a release that succeeded or was refused: the members of [Entry]
//	use        operations with a key that stays in skr: the members of Entry and [Use]
//	withheld   the number of refusals without a record of their own, so that a caller
//	           that is refused repeatedly does not crowd out the records of releases
//
// Without a file, the records go to the log ([ToLogger]). There, each start begins a new chain.
//
// # What a chain does not show
//
// The chain uses no secret. A process that may write the file can rewrite it from any record on, and a
// file whose last records were removed is still intact. Keep the hash of a recent record (the head)
// elsewhere and pass it to Verify, or send the lines to another machine as they are written.
//
// A record survives a crash of skr, but not of the machine: only Close calls fsync. The file grows, and
// the package never removes or renames it. To begin a new file, move it away while skr is stopped.
package audit

import (
	"fmt"
	"sync"
	"time"
)

// Released is the result of a successful release. Any other result is the code of a refusal.
const Released = "released"

// Used is the result of operations.
const Used = "used"

// Entry describes one release. Append truncates texts to their limits (see record.go) and replaces
// characters that cannot be printed.
type Entry struct {
	// RequestID is the id of the request in the log.
	RequestID string `json:"request_id"`
	// Caller is the caller of the request.
	Caller string `json:"caller"`
	// Key is the key in the request, https://HOST/keys/NAME[/VERSION]; "" if the request
	// named no allowed key.
	Key string `json:"key"`
	// Released is the id, with version, of the released key; empty if none was released.
	Released string `json:"released"`
	// Authority is the attestation service.
	Authority string `json:"authority"`
	// PolicySHA256 is the hash of the key's release policy; empty if unknown.
	PolicySHA256 string `json:"policy_sha256"`
	// Result is Released, or the code of the refusal.
	Result string `json:"result"`
	// Budget is the name under which refusals are counted, such as the caller without its
	// process. It is not recorded.
	Budget string `json:"-"`
}

// Log appends records to a chain. It is safe for concurrent use.
type Log struct {
	version  string
	refusals budgets

	mu     sync.Mutex
	later  *time.Timer // writes a record that counts refusals
	closed bool
	out    sink
	chain  chain // as written
	failed error // of the last write; while it is set, the end of the chain is unknown
}

// sink is the destination of the lines of a chain.
type sink interface {
	// resume returns the chain that the next record continues, read from the sink.
	resume() (chain, error)
	// write writes one line, with its newline.
	write(line []byte) error
	close() error
}

// open creates a log and writes its first record.
func open(out sink, version string) (*Log, error) {
	if version == "" {
		version = "unknown"
	}
	l := &Log{version: clip(version, maxVersion), out: out}
	l.failed = l.begin()
	return l, l.failed
}

// Append writes one record. If it returns an error, the record is missing or incomplete, and the release
// must be refused. The next Append first repairs the end of the chain.
//
// Refusals have a budget for each [Entry.Budget]. Beyond it, Append returns nil without a record. A
// record of kind withheld counts these refusals within a minute.
func (l *Log) Append(e Entry) error {
	return l.record(Record{Kind: kindRelease, Entry: e.clipped()}, e)
}

// AppendUse writes a record of operations, as Append does.
func (l *Log) AppendUse(e Entry, u Use) error {
	u.Operation = clip(u.Operation, maxResult)
	return l.record(Record{Kind: kindUse, Entry: e.clipped(), Use: &u}, e)
}

func (l *Log) record(r Record, e Entry) error {
	if e.Result != Released && e.Result != Used {
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
	l.failed = l.append(r)
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

// begin finds the end of the chain and writes a record that skr continues it.
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

// Err returns the error of the last write, or nil. While it is not nil, releases cannot be recorded.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Head returns the hash of the last record. If it is kept elsewhere, it proves later that no record up to
// it was changed or removed.
func (l *Log) Head() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.chain.head
}

// Close writes the records to disk. Append fails afterwards.
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

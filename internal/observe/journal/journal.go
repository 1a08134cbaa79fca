// Package journal notes what happens in one request: the stages of the pipeline
// that it went through, what upstream services were asked, and what was found in
// a cache. The server begins a [Journal] and reads it when the answer is there,
// for one log line, the metrics and the trace. The packages in between write
// into it through the context and know none of the three:
//
//	result, err := journal.Do(ctx, journal.Appraise, func() (*attest.Result, error) {
//		return verifier.Appraise(ctx, authority, evidence)
//	})
//
// Without a journal in the context nothing is noted. A journal holds names,
// times and outcomes: no host, key name, secret or error text belongs there.
package journal

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Stage is a step of a request.
type Stage string

// The stages, in the order of a release.
const (
	Admit    Stage = "admit"    // who asks, may they, is there a place
	Receive  Stage = "receive"  // reading and decoding the request
	Report   Stage = "report"   // asking the hardware for a report
	Endorse  Stage = "endorse"  // finding and verifying its certificates
	Appraise Stage = "appraise" // asking the authority, and verifying its token
	Identity Stage = "identity" // getting an access token
	Release  Stage = "release"  // asking the vault, and verifying its statement
	Unwrap   Stage = "unwrap"   // opening the key
	Answer   Stage = "answer"   // all is done
)

// Cache is something that is kept between requests.
type Cache string

// The caches.
const (
	Certificates Cache = "certificates" // chains of this machine
	Attestation  Cache = "attestation"  // the attested KEK of an authority
	Key          Cache = "key"          // released keys, under key_cache_ttl
)

// Span is a stage with its time.
type Span struct {
	Stage      Stage
	Start, End time.Time // End is zero while the stage runs
	Failed     bool
}

// Call is one exchange with an upstream service.
type Call struct {
	// Service is a word such as "maa" or "vault".
	Service    string
	Start, End time.Time
	// Status is that of HTTP; 0 where there was no answer.
	Status int
	// RequestID is the service's own name for the exchange, or "".
	RequestID string
}

// Lookup is a question to a cache.
type Lookup struct {
	Cache Cache
	Hit   bool
	// Stale is a hit that was past its time, and the best that could be had.
	Stale bool
	// Age is the time since what was found came from its service; 0 where that
	// is not told.
	Age time.Duration
}

// Notes are a copy of what a journal holds.
type Notes struct {
	Spans   []Span
	Calls   []Call
	Lookups []Lookup
	// Fallback is which of the configured ways answered, as a number in their
	// list; 0 is the first, or the only one.
	Fallback int
}

const (
	// maxNotes bounds each kind, as a request may try many sources many times.
	maxNotes = 64
	// usual is how many stages a release has, so that noting them grows nothing.
	usual = 8
)

// Journal is safe for concurrent use, and so are the functions below on a
// context that holds one.
type Journal struct {
	id string

	mu    sync.Mutex
	notes Notes
}

type key struct{}

// With begins a journal for the request called id.
func With(ctx context.Context, id string) (context.Context, *Journal) {
	j := &Journal{id: id, notes: Notes{Spans: make([]Span, 0, usual)}}
	return context.WithValue(ctx, key{}, j), j
}

func from(ctx context.Context) *Journal {
	j, _ := ctx.Value(key{}).(*Journal)
	return j
}

// RequestID is the id of ctx's journal, "" without one.
func RequestID(ctx context.Context) string {
	if j := from(ctx); j != nil {
		return j.id
	}
	return ""
}

// Begin notes that a stage begins, and returns what notes its end.
func Begin(ctx context.Context, stage Stage) (done func(error)) {
	j := from(ctx)
	if j == nil {
		return func(error) {}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.notes.Spans) == maxNotes {
		return func(error) {}
	}
	at := len(j.notes.Spans)
	j.notes.Spans = append(j.notes.Spans, Span{Stage: stage, Start: time.Now()})
	return func(err error) { j.end(at, err) }
}

func (j *Journal) end(at int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes.Spans[at].End, j.notes.Spans[at].Failed = time.Now(), err != nil
}

// Do notes a stage that is one piece of work.
func Do[T any](ctx context.Context, stage Stage, work func() (T, error)) (T, error) {
	done := Begin(ctx, stage)
	value, err := work()
	done(err)
	return value, err
}

// Asked notes an exchange with a service.
func Asked(ctx context.Context, call Call) {
	if j := from(ctx); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		if len(j.notes.Calls) < maxNotes {
			j.notes.Calls = append(j.notes.Calls, call)
		}
	}
}

// Looked notes a question to a cache.
func Looked(ctx context.Context, cache Cache, hit bool) { Found(ctx, Lookup{Cache: cache, Hit: hit}) }

// Found notes what a cache answered.
func Found(ctx context.Context, lookup Lookup) {
	if j := from(ctx); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		if len(j.notes.Lookups) < maxNotes {
			j.notes.Lookups = append(j.notes.Lookups, lookup)
		}
	}
}

// FellBack notes which of the configured ways answered.
func FellBack(ctx context.Context, way int) {
	if j := from(ctx); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.notes.Fallback = way
	}
}

// Notes copies what has been noted. Work that other requests share may go on
// and write more.
func (j *Journal) Notes() Notes {
	j.mu.Lock()
	defer j.mu.Unlock()
	notes := j.notes
	notes.Spans, notes.Calls, notes.Lookups = slices.Clone(notes.Spans), slices.Clone(notes.Calls), slices.Clone(notes.Lookups)
	return notes
}

// Last is what the cache answered last, if it was asked.
func (n Notes) Last(cache Cache) (last Lookup, asked bool) {
	for _, lookup := range slices.Backward(n.Lookups) {
		if lookup.Cache == cache {
			return lookup, true
		}
	}
	return Lookup{}, false
}

// Result is a word for it: "hit", "stale" or "miss".
func (l Lookup) Result() string {
	switch {
	case l.Stale:
		return "stale"
	case l.Hit:
		return "hit"
	}
	return "miss"
}

// Ended is where a request ended: the last stage to begin of those that failed
// or still run, or Answer if there is none.
func (n Notes) Ended() Stage {
	for _, span := range slices.Backward(n.Spans) {
		if span.Failed || span.End.IsZero() {
			return span.Stage
		}
	}
	return Answer
}

// Outcome is a request that is over, for those who count and trace requests.
type Outcome struct {
	RequestID string
	// Route is a path of the API, or "none".
	Route string
	// Code is of package api; "ok" for a result.
	Code       string
	Start, End time.Time
	// Parent is the caller's traceparent header (W3C Trace Context), unchecked.
	Parent string
	Notes
}

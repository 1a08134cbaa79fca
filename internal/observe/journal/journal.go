// Package journal records what happens in one request: the stages of the pipeline, the exchanges with
// services, and the lookups in caches. The server begins a [Journal] and reads it after the answer, for
// one log line, the metrics and the trace. The packages in between write to it through the context:
//
//	result, err := journal.Do(ctx, journal.Appraise, func() (*attest.Result, error) {
//		return verifier.Appraise(ctx, authority, evidence)
//	})
//
// Without a journal in the context, nothing is recorded. A journal contains names, times and outcomes,
// but no host, key name, secret or error text.
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
	Admit    Stage = "admit"    // identifying the caller, checking access, waiting for a place
	Receive  Stage = "receive"  // reading and decoding the request
	Report   Stage = "report"   // requesting a report from the hardware
	Endorse  Stage = "endorse"  // finding and verifying its certificates
	Appraise Stage = "appraise" // requesting a token from the authority and verifying it
	Identity Stage = "identity" // getting an access token
	Release  Stage = "release"  // requesting the key from the vault and verifying its statement
	Unwrap   Stage = "unwrap"   // unwrapping the key
	Operate  Stage = "operate"  // the operations with a key that stays here
	Answer   Stage = "answer"   // the request is complete
)

// Cache is a cache that lives longer than a request.
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
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// RequestID is the service's id of the exchange, or "".
	RequestID string
}

// Lookup is a lookup in a cache.
type Lookup struct {
	Cache Cache
	Hit   bool
	// Stale is true for a hit that had expired and was used because of an outage.
	Stale bool
	// Age is the time since the value came from its service; 0 if unknown.
	Age time.Duration
}

// Notes is a copy of the content of a journal.
type Notes struct {
	Spans   []Span
	Calls   []Call
	Lookups []Lookup
	// Fallback is the index of the configured way that answered; 0 is the first or the only
	// one.
	Fallback int
}

const (
	// maxNotes limits each kind, because a request may try many sources many times.
	maxNotes = 64
	// usual is the number of stages of a release, so that their slice need not grow.
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

// RequestID returns the id of the journal in ctx, or "".
func RequestID(ctx context.Context) string {
	if j := from(ctx); j != nil {
		return j.id
	}
	return ""
}

// Begin records the begin of a stage. Call done at its end.
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

// Do records work as a stage.
func Do[T any](ctx context.Context, stage Stage, work func() (T, error)) (T, error) {
	done := Begin(ctx, stage)
	value, err := work()
	done(err)
	return value, err
}

// Asked records an exchange with a service.
func Asked(ctx context.Context, call Call) {
	if j := from(ctx); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		if len(j.notes.Calls) < maxNotes {
			j.notes.Calls = append(j.notes.Calls, call)
		}
	}
}

// Looked records a lookup in a cache.
func Looked(ctx context.Context, cache Cache, hit bool) { Found(ctx, Lookup{Cache: cache, Hit: hit}) }

// Found records a lookup with all its fields.
func Found(ctx context.Context, lookup Lookup) {
	if j := from(ctx); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		if len(j.notes.Lookups) < maxNotes {
			j.notes.Lookups = append(j.notes.Lookups, lookup)
		}
	}
}

// FellBack records the index of the configured way that answered.
func FellBack(ctx context.Context, way int) {
	if j := from(ctx); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.notes.Fallback = way
	}
}

// Notes returns a copy of the records. Work that other requests share may continue and add more.
func (j *Journal) Notes() Notes {
	j.mu.Lock()
	defer j.mu.Unlock()
	notes := j.notes
	notes.Spans, notes.Calls, notes.Lookups = slices.Clone(notes.Spans), slices.Clone(notes.Calls), slices.Clone(notes.Lookups)
	return notes
}

// Last returns the last lookup in the cache, if any.
func (n Notes) Last(cache Cache) (last Lookup, asked bool) {
	for _, lookup := range slices.Backward(n.Lookups) {
		if lookup.Cache == cache {
			return lookup, true
		}
	}
	return Lookup{}, false
}

// Result returns "hit", "stale" or "miss".
func (l Lookup) Result() string {
	switch {
	case l.Stale:
		return "stale"
	case l.Hit:
		return "hit"
	}
	return "miss"
}

// Ended returns the stage where the request ended: the last to begin of the stages that failed or still
// run, or Answer if there is none.
func (n Notes) Ended() Stage {
	for _, span := range slices.Backward(n.Spans) {
		if span.Failed || span.End.IsZero() {
			return span.Stage
		}
	}
	return Answer
}

// Outcome is a completed request, for metrics and traces.
type Outcome struct {
	RequestID string
	// Route is a path of the API, or "none".
	Route string
	// Code is a code of package api; "ok" for success.
	Code       string
	Start, End time.Time
	// Parent is the caller's traceparent header (W3C Trace Context), unchecked.
	Parent string
	Notes
}

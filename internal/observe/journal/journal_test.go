package journal_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/observe/journal"
)

func TestNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, j := journal.With(t.Context(), "r1")
		done := journal.Begin(ctx, journal.Report)
		time.Sleep(time.Second)
		done(nil)
		journal.Looked(ctx, journal.Certificates, true)
		journal.Asked(ctx, journal.Call{Service: "maa", Status: 200, RequestID: "x"})
		notes := j.Notes()
		if len(notes.Spans) != 1 || notes.Spans[0].End.Sub(notes.Spans[0].Start) != time.Second || notes.Spans[0].Failed {
			t.Errorf("spans: %+v", notes.Spans)
		}
		if len(notes.Lookups) != 1 || len(notes.Calls) != 1 || notes.Calls[0].RequestID != "x" {
			t.Errorf("notes: %+v", notes)
		}
		if journal.RequestID(ctx) != "r1" || notes.Ended() != journal.Answer {
			t.Errorf("request %q ended at %q", journal.RequestID(ctx), notes.Ended())
		}
	})
}

func TestEnded(t *testing.T) {
	ctx, j := journal.With(t.Context(), "r1")
	journal.Begin(ctx, journal.Admit)(nil)
	journal.Begin(ctx, journal.Appraise)(errors.New("no"))
	journal.Begin(ctx, journal.Identity)(nil)
	if got := j.Notes().Ended(); got != journal.Appraise {
		t.Errorf("ended at %q", got)
	}
	journal.Begin(ctx, journal.Release)
	if got := j.Notes().Ended(); got != journal.Release {
		t.Errorf("with a running stage: ended at %q", got)
	}
}

// A request's notes are bounded, and a copy does not change.
func TestBound(t *testing.T) {
	ctx, j := journal.With(t.Context(), "r1")
	before := j.Notes()
	for range 1000 {
		journal.Begin(ctx, journal.Report)(nil)
		journal.Asked(ctx, journal.Call{})
		journal.Looked(ctx, journal.Attestation, false)
	}
	notes := j.Notes()
	if len(notes.Spans) != 64 || len(notes.Calls) != 64 || len(notes.Lookups) != 64 {
		t.Errorf("%d spans, %d calls, %d lookups", len(notes.Spans), len(notes.Calls), len(notes.Lookups))
	}
	if len(before.Spans) != 0 {
		t.Error("the copy has changed")
	}
}

func TestWithout(t *testing.T) {
	ctx := t.Context()
	journal.Begin(ctx, journal.Report)(nil)
	journal.Asked(ctx, journal.Call{})
	journal.Looked(ctx, journal.Attestation, false)
	if id := journal.RequestID(ctx); id != "" {
		t.Errorf("request %q", id)
	}
}

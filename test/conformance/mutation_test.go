package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"skr/test/emulator"
)

// recorder passes requests on and keeps the answers.
type recorder struct {
	next    http.RoundTripper
	answers []kept
}

// kept is an answer that can be given again.
type kept struct {
	status int
	header http.Header
	body   []byte
}

func (k kept) response(r *http.Request) *http.Response {
	return &http.Response{StatusCode: k.status, Header: k.header.Clone(), Body: io.NopCloser(bytes.NewReader(k.body)), Request: r}
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	r.answers = append(r.answers, kept{answer.StatusCode, answer.Header, body})
	return r.answers[len(r.answers)-1].response(request), nil
}

// replay gives recorded answers, one of which is spoiled.
type replay struct {
	answers []kept
	spoiled int // -1 for none
	spoil   func(kept) kept
	asked   int
}

func (r *replay) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.asked >= len(r.answers) {
		return nil, errors.New("no more answers were recorded")
	}
	answer := r.answers[r.asked]
	if r.asked == r.spoiled {
		answer = r.spoil(answer)
	}
	r.asked++
	return answer.response(request), nil
}

func withBody(body string) func(kept) kept {
	return func(k kept) kept { return kept{k.status, k.header, []byte(body)} }
}

// mutations spoil answers. Each applies to the expectations that it is to break.
var mutations = []struct {
	name    string
	breaks  func(want) bool
	mutated func(kept) kept
}{
	{"another status", func(w want) bool { return len(w.status) > 0 }, func(k kept) kept { return kept{418, k.header, k.body} }},
	{"no members", func(w want) bool { return w.needsMembers() }, withBody("{}")},
	{"not JSON", func(w want) bool { return w.members != "" }, withBody("<html>")},
	{"other types", func(w want) bool { return w.needsMembers() }, func(k kept) kept {
		return kept{k.status, k.header, []byte(strings.ReplaceAll(string(k.body), `":`, `":{},"x":`))}
	}},
	{"another code", func(w want) bool { return w.code != "" || w.inner != "" }, func(k kept) kept {
		return kept{k.status, k.header, []byte(strings.ReplaceAll(string(k.body), `"code":"`, `"code":"Other`))}
	}},
	{"another message", func(w want) bool { return w.message != "" }, func(k kept) kept {
		return kept{k.status, k.header, []byte(strings.ReplaceAll(string(k.body), `"message":"`, `"message":"","text":"`))}
	}},
	{"a body", func(w want) bool { return w.empty }, withBody("body")},
	{"no headers", func(w want) bool { return len(w.headers) > 0 }, func(k kept) kept { return kept{k.status, http.Header{}, k.body} }},
}

// needsMembers reports whether a member must be there and is not in an array that may be empty.
func (w want) needsMembers() bool {
	for member := range strings.FieldsSeq(w.members) {
		if path, _, _ := strings.Cut(member, ":"); !strings.HasSuffix(path, "?") && !strings.Contains(path, "[]") {
			return true
		}
	}
	return false
}

// TestEachCheckCanFail makes each check three times: against the emulator, against its recorded answers,
// and for each answer and each part of what is expected, against answers that differ in that part. The
// first two find no difference and the last always does.
func TestEachCheckCanFail(t *testing.T) {
	_, c := azure(t, emulator.Config{})
	spoiled, made := 0, make(map[string]bool)
	for _, part := range newRun(c).parts {
		for _, check := range part.checks {
			made[check.name] = true
			spoiled += canFail(t, part.session, check, c.Transport)
		}
		if left := part.session.clean(t.Context(), c.Transport); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	for _, row := range byHand {
		if !made[row.check] {
			t.Errorf("there is no check %q", row.check)
		}
	}
	if spoiled < 800 {
		t.Errorf("%d spoiled answers, want more", spoiled)
	}
}

func canFail(t *testing.T, s *session, c check, real http.RoundTripper) (spoiled int) {
	t.Helper()
	recorded := &recorder{next: real}
	if o := s.do(t.Context(), c, recorded); o.Result != Same {
		t.Errorf("%s: %s: %s %s %q", s.service, c.name, o.Result, o.Reason, o.Differences)
		return 0
	}
	left := maps.Clone(s.left) // replayed answers change nothing
	defer func() { s.left = left }()
	wants := &wantsOf{}
	s.asked = wants.add
	o := s.do(t.Context(), c, &replay{answers: recorded.answers, spoiled: -1})
	s.asked = nil
	if o.Result != Same {
		t.Errorf("%s: %s: the recorded answers: %s %s %q", s.service, c.name, o.Result, o.Reason, o.Differences)
		return 0
	}
	if len(wants.all) == 0 {
		t.Errorf("%s: %s: nothing is expected of an answer", s.service, c.name)
	}
	for i, w := range wants.all {
		for _, m := range mutations {
			if !m.breaks(w) {
				continue
			}
			spoiled++
			broken := &replay{answers: recorded.answers, spoiled: wants.at[i], spoil: m.mutated}
			if o := s.do(t.Context(), c, broken); o.Result == Same || o.Result == Skipped {
				t.Errorf("%s: %s: answer %d with %s: %s %s", s.service, c.name, i, m.name, o.Result, o.Reason)
			}
		}
	}
	return spoiled + spoiledByHand(t, s, c, recorded.answers)
}

// wantsOf collects what a check expects of its answers.
type wantsOf struct {
	all []want
	at  []int // the number of the answer
}

func (w *wantsOf) add(one want, at int) {
	w.all, w.at = append(w.all, one), append(w.at, at)
}

// noPause makes a run not wait.
func noPause(context.Context, time.Duration) error { return nil }

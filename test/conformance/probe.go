package conformance

import (
	"context"
	"fmt"
	"net/http"
)

// probe makes one check at one service.
type probe struct {
	ctx       context.Context
	s         *session
	transport http.RoundTripper
	exchanges []Exchange
	expected  []string
	sent      int // requests
}

// Exchange describes a request and its answer.
type Exchange struct {
	Request string            `json:"request"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Shape   map[string]string `json:"shape,omitempty"`
	Code    string            `json:"code,omitempty"`
	Inner   string            `json:"inner_code,omitempty"`
	Message string            `json:"message,omitempty"`
}

// ask sends a request, with the access token of the vault unless the request has its own, and compares
// the answer.
func (p *probe) ask(r request, w want) (*answer, error) {
	p.expected = append(p.expected, r.describe())
	for _, line := range w.describe() {
		p.expected = append(p.expected, "  "+line)
	}
	got, err := p.send(r)
	if err != nil {
		return nil, err
	}
	if p.s.asked != nil {
		p.s.asked(w, p.sent-1)
	}
	if found := w.compare(got); len(found) > 0 {
		return got, &difference{found}
	}
	return got, nil
}

// send sends a request and records the exchange.
func (p *probe) send(r request) (*answer, error) {
	if !r.anonymous && r.token.IsZero() && p.s.audience != "" {
		token, err := p.s.token(p.ctx)
		if err != nil {
			return nil, err
		}
		r.token = token
	}
	p.s.left.sending(r)
	got, err := p.s.send(p.ctx, p.transport, r)
	if err != nil {
		return nil, err
	}
	p.sent++
	p.s.left.answered(r, got.status)
	p.exchanges = append(p.exchanges, p.s.exchange(r, got))
	return got, nil
}

// differ returns a difference of what is compared by hand. Arguments must not come from an answer
// unless they are redacted.
func (p *probe) differ(format string, args ...any) error {
	return &difference{[]string{fmt.Sprintf(format, args...)}}
}

// expect adds a line to what the report says is expected.
func (p *probe) expect(line string) { p.expected = append(p.expected, "  "+line) }

// key returns the key that an earlier check has created.
func (p *probe) key(kind string) (*madeKey, error) {
	if k := p.s.keys[kind]; k != nil {
		return k, nil
	}
	return nil, &skip{"the check that creates the key " + kind + " has not succeeded"}
}

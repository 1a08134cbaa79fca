// Package access decides which caller may ask for what.
//
// A [Policy] is made of rules. A rule identifies callers, by the uid and gid of
// the process at the other end of a unix socket or by a bearer token that a file
// holds, and lists the routes and the key aliases that they may use. A caller has
// the union of the rights of all matching rules; a caller that no rule matches is refused.
// Without a policy (nil), any caller that can connect is let in.
//
//	policy, err := access.New(access.Config{Rules: rules, Routes: routes, Keys: aliases})
//	server := http.Server{ConnContext: access.ConnContext}
//	server.Serve(access.Listen(socket))
//
//	caller, err := policy.Identify(r.Context(), r.Header.Get("Authorization"))
//	err = policy.MayUse(caller, "/key/release")
//	err = policy.MayHave(caller, "kafka")
//	err = policy.MayAttest(caller, runtimeData)
//
// The kernel tells who opened a connection, not who writes to it now: a process
// may pass it on. Therefore the process that opened it must still be alive, at
// each request, under a descriptor (pidfd) that no later process of the same
// number can take over. While it is alive it answers for what it passes on. The
// package keeps hashes of tokens, never tokens, and bounds no rates.
package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"skr/internal/refusal"
)

// maxRules is how many a Caller can remember as bits.
const maxRules = 64

// Config of a Policy.
type Config struct {
	// Rules of the access section. Nil means that there is no such section; an
	// empty one is an error, because it would refuse every caller.
	Rules []Rule
	// Routes are all that exist, such as "/key/release".
	Routes []string
	// Keys are the aliases of all keys.
	Keys []string
}

// Policy is made of rules. A nil Policy lets in every caller.
type Policy struct{ rules []rule }

// New checks the rules and reads their token files. The Policy is nil if there
// is no access section.
func New(c Config) (*Policy, error) {
	switch {
	case c.Rules == nil:
		return nil, nil //nolint:nilnil // the nil Policy is a good one
	case len(c.Rules) == 0:
		return nil, errors.New("there are no rules, so every caller would be refused: add one, or remove the section")
	case len(c.Rules) > maxRules:
		return nil, fmt.Errorf("there are %d rules, and %d at most are possible", len(c.Rules), maxRules)
	}
	p := &Policy{}
	for i, r := range c.Rules {
		parsed, err := parseRule(r, c)
		if err != nil {
			return nil, fmt.Errorf("rule %d %q: %w", i+1, r.Name, err)
		}
		if slices.ContainsFunc(p.rules, func(other rule) bool { return other.name == r.Name }) {
			return nil, fmt.Errorf("rule %d %q: name: another rule has it", i+1, r.Name)
		}
		p.rules = append(p.rules, parsed)
	}
	return p, nil
}

// Binds reports whether callers are bound to the aliases that their rules list.
func (p *Policy) Binds() bool { return p != nil }

// Identify returns the caller of a request: ctx is the request's and holds its connection
// (see [ConnContext]), authorization is the Authorization header, "" for none. It refuses a
// caller that no rule matches.
func (p *Policy) Identify(ctx context.Context, authorization string) (Caller, error) {
	peer, _ := ctx.Value(peerKey{}).(*peer)
	c := peer.caller()
	if p == nil {
		return c, nil
	}
	token, err := hashToken(authorization)
	if err != nil {
		return Caller{}, err
	}
	unproven := peer.check()
	if errors.Is(unproven, errExited) {
		return Caller{}, refusal.Because(refusal.CallerNotAllowed,
			"the process that opened this connection has ended, connect anew", unproven)
	}
	unread := p.match(&c, token, unproven == nil)
	if c.matched == 0 {
		return Caller{}, refuseUnidentified(c, unproven, unread)
	}
	return c, nil
}

// match notes in c which rules identify it. It goes through all of them, so
// that the time it takes does not tell which token is nearly right. The error
// tells the log which token files could not be read.
func (p *Policy) match(c *Caller, token *[sha256.Size]byte, proven bool) error {
	var unread []error
	for i := range p.rules {
		matches, err := p.rules[i].identifies(*c, token, proven)
		if err != nil {
			unread = append(unread, fmt.Errorf("rule %q: %w", p.rules[i].name, err))
		}
		if !matches {
			continue
		}
		if c.matched == 0 {
			c.rule = p.rules[i].name
		}
		c.matched |= 1 << i
	}
	return errors.Join(unread...)
}

func refuseUnidentified(c Caller, unproven, unread error) error {
	cause := errors.Join(unproven, unread)
	switch {
	case unproven != nil:
		return refusal.Because(refusal.CallerNotAllowed, "the process that opened this connection is not visible from here: "+
			"share the process namespace, or use a rule with token_file", cause)
	case c.known:
		return refusal.Because(refusal.CallerNotAllowed,
			fmt.Sprintf("no access rule is for uid %d gid %d: add one, or send the bearer token of one", c.uid, c.gid), cause)
	}
	return refusal.Because(refusal.CallerNotAllowed,
		"no access rule is for this caller: send the bearer token of one", cause)
}

// MayUse returns an error if the caller may not use the route.
func (p *Policy) MayUse(c Caller, route string) error {
	return p.check(c, "routes", route, strconv.Quote(route), func(r rule) grant { return r.routes })
}

// MayHave returns an error if the caller may not have the key of that alias. The error does
// not repeat the alias: a caller that mistakes members may have put a secret there.
func (p *Policy) MayHave(c Caller, alias string) error {
	return p.check(c, "keys", alias, "this alias", func(r rule) grant { return r.keys })
}

// MaxBound is how many bytes a caller that may not have every key may have attested:
// as many as REPORT_DATA has (AMD 56860, table 23), enough for a digest or a nonce. The
// smallest RSA key in use has more, in any form.
const MaxBound = 64

// MayAttest returns an error if the caller may not have evidence over data. A caller that
// has a key pair of its own attested gets, from any vault that the pod's identity may use, keys
// that are wrapped to that pair: only a caller that may have every alias may attest
// more than MaxBound bytes. Data is not parsed: an authority could read it otherwise.
func (p *Policy) MayAttest(c Caller, data []byte) error {
	if p == nil || len(data) <= MaxBound {
		return nil
	}
	for i, r := range p.rules {
		if c.matched&(1<<i) != 0 && r.keys.all {
			return nil
		}
	}
	return refusal.Newf(refusal.CallerNotAllowed, "this caller may have at most %d bytes attested, because more could hold a key "+
		`that a vault wraps to: send less, such as a hash of what you mean, or give an access rule of this caller keys: ["*"]`, MaxBound)
}

// Unguarded returns the names of the rules whose callers may use one of the routes that
// attest and, by the same rule or another that can fit as well, may have every key. They
// may attest a key pair of their own, and with it get keys that have no alias.
func (p *Policy) Unguarded(attesting []string) (names []string) {
	if p == nil {
		return nil
	}
	for _, every := range p.rules {
		attests := func(r rule) bool { return every.meets(r) && slices.ContainsFunc(attesting, r.routes.has) }
		if every.keys.all && slices.ContainsFunc(p.rules, attests) {
			names = append(names, every.name)
		}
	}
	return names
}

// check returns an error unless one of the caller's rules lists name in that field. told
// stands for name in the error.
func (p *Policy) check(c Caller, field, name, told string, list func(rule) grant) error {
	if p == nil {
		return nil
	}
	var asked []string
	for i, r := range p.rules {
		if c.matched&(1<<i) == 0 {
			continue
		}
		if list(r).has(name) {
			return nil
		}
		asked = append(asked, r.name)
	}
	if asked == nil {
		return refusal.Newf(refusal.CallerNotAllowed, "no access rule is for this caller")
	}
	return refusal.Newf(refusal.CallerNotAllowed, "the %s of access rule %s do not list %s: add it there",
		field, strings.Join(asked, ", "), told)
}

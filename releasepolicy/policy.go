package releasepolicy

import (
	"fmt"
	"strings"
)

// Policy is a parsed release policy. It does not change, and several goroutines may use it
// at the same time.
type Policy struct {
	raw     []byte
	version string
	roots   []Condition // authorities
	plan    plan
}

// ParseError is what is wrong with the text of a policy. Line and Column count from 1,
// Column in characters.
type ParseError struct {
	Line, Column int
	Reason       string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("release policy, line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// Raw returns the policy exactly as it was parsed. The caller must not change it.
func (p *Policy) Raw() []byte { return p.raw }

// Tree returns one condition for each authority, in the policy's order. The caller must not
// change them.
func (p *Policy) Tree() []Condition { return p.roots }

// Authorities returns the names of the attestation services that the policy trusts, in its
// order and spelling.
func (p *Policy) Authorities() []string {
	names := make([]string, len(p.roots))
	for i, root := range p.roots {
		names[i] = root.Authority
	}
	return names
}

// Authority returns the policy's spelling of the authority that has the name issuer. One
// trailing slash does not count: policies are written with and without it, tokens have none,
// and the services accept both.
func (p *Policy) Authority(issuer string) (name string, ok bool) {
	for _, root := range p.roots {
		if sameAuthority(root.Authority, issuer) {
			return root.Authority, true
		}
	}
	return "", false
}

func sameAuthority(a, b string) bool {
	return withoutSlash(a) == withoutSlash(b)
}

func withoutSlash(authority string) string {
	if trimmed := strings.TrimSuffix(authority, "/"); !strings.HasSuffix(trimmed, "/") {
		return trimmed
	}
	return authority // with two slashes it is another name
}

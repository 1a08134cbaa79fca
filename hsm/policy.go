package hsm

import (
	"fmt"
	"strings"
)

// ReleasePolicy is a key release policy: who must have attested the guest and
// what the attestation token must say before the vault releases a key. It is
// the language of "Azure Key Vault secure key release policy grammar"
// (learn.microsoft.com/azure/key-vault/keys/policy-grammar) and of the same
// page for Managed HSM: any of several authorities, each with conditions that
// nest, over claims that a dotted path names.
//
//	policy, err := hsm.ParseReleasePolicy(file)
//	…
//	evaluation := policy.Evaluate(issuer, claims)
//
// The value is immutable and may be used from several goroutines.
type ReleasePolicy struct {
	raw         []byte
	version     string
	authorities []authority
	claims      []string // that are compared, each once
	nodes       int      // authorities and conditions, for an evaluation
}

// authority is an attestation service with the conditions on its tokens.
type authority struct {
	at    int // offset in raw
	name  string
	group group
}

// group joins conditions: all of them, or any one.
type group struct {
	kind       ConditionKind // AnyOf or AllOf
	conditions []condition
}

// condition is either a nested group or a comparison of one claim.
type condition struct {
	at       int    // offset in raw
	group    *group // nil for a comparison
	claim    string
	number   int // of the claim
	operator Operator
	value    literal
}

// literal is a JSON scalar of a policy.
type literal struct {
	text string // canonical text that is compared
	json string // as it is written, compact
}

// Operator compares a claim with a value.
type Operator string

// The operators of the grammar.
const (
	Equals          Operator = "equals"
	NotEquals       Operator = "notEquals"
	Less            Operator = "less"
	LessOrEquals    Operator = "lessOrEquals"
	Greater         Operator = "greater"
	GreaterOrEquals Operator = "greaterOrEquals"
	Exists          Operator = "exists"
)

func (o Operator) known() bool {
	switch o {
	case Equals, NotEquals, Less, LessOrEquals, Greater, GreaterOrEquals, Exists:
		return true
	}
	return false
}

// ConditionKind tells a group from a comparison.
type ConditionKind string

// The kinds of conditions, spelt as in the grammar.
const (
	AnyOf ConditionKind = "anyOf"
	AllOf ConditionKind = "allOf"
	Claim ConditionKind = "claim"
)

// PolicyError says where a policy is wrong. Line and Column count from 1,
// Column in characters.
type PolicyError struct {
	Line, Column int
	Reason       string
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("release policy, line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// Raw is the policy exactly as it was parsed. The caller must not change it.
func (p *ReleasePolicy) Raw() []byte { return p.raw }

// Authorities are the attestation services that the policy trusts, in its
// order and spelling.
func (p *ReleasePolicy) Authorities() []string {
	names := make([]string, len(p.authorities))
	for i, a := range p.authorities {
		names[i] = a.name
	}
	return names
}

// Authority is the policy's spelling of the authority that issuer is. Policies
// are written with and without a trailing slash, tokens carry none, and the
// services accept both: one trailing slash does not count.
func (p *ReleasePolicy) Authority(issuer string) (name string, ok bool) {
	for _, a := range p.authorities {
		if sameAuthority(a.name, issuer) {
			return a.name, true
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
	return authority // two slashes are part of a name that no service has
}

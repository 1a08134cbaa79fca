package releasepolicy

import (
	"strconv"
	"strings"

	"skr/internal/excerpt"
)

// Condition is a part of a policy: an authority with its conditions, a group of conditions,
// or a comparison of one claim with a value. It is the only form that the package has for
// what a policy says.
type Condition struct {
	// Kind is AnyOf or AllOf for a group and for an authority, Claim for a comparison.
	Kind Kind
	// Authority names the attestation service. Only the roots of a policy have one.
	Authority string
	// Claim is the dotted path of the claim that a comparison is about.
	Claim string
	// Operator compares the claim with Value.
	Operator Operator
	Value    Value
	// Conditions are the members of a group.
	Conditions []Condition
	// Line and Column are where the condition begins in the text. They count from 1, Column
	// in characters. Both are 0 for a condition that was not parsed.
	Line, Column int
}

// Kind tells groups from comparisons.
type Kind string

// The kinds of conditions, as the grammar spells them.
const (
	AnyOf Kind = "anyOf"
	AllOf Kind = "allOf"
	Claim Kind = "claim"
)

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

// Value is a scalar of a policy.
type Value struct {
	// Text is what claims are compared with: true and "true" have the same text.
	Text string
	// JSON is how the policy writes it: a string, a number, true or false.
	JSON string
}

// Text returns the value that a policy writes as a JSON string.
func Text(text string) Value { return Value{text, quoteJSON(text)} }

// Integer returns the value that a policy writes as a JSON number.
func Integer(n uint64) Value {
	digits := strconv.FormatUint(n, 10)
	return Value{digits, digits}
}

// String describes the condition in words and one line: "any of (a equals 1; b less 2)". It
// shortens long names and values.
func (c Condition) String() string {
	if c.Kind == Claim {
		return excerpt.Of(c.Claim) + " " + string(c.Operator) + " " + excerpt.Word(c.Value.Text)
	}
	texts := make([]string, len(c.Conditions))
	for i, member := range c.Conditions {
		texts[i] = member.String()
	}
	return c.Kind.words() + " (" + strings.Join(texts, "; ") + ")"
}

func (k Kind) words() string {
	if k == AnyOf {
		return "any of"
	}
	return "all of"
}

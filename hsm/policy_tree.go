package hsm

import "unicode/utf8"

// Node is a part of a policy as it is written.
type Node struct {
	// Kind is AnyOf or AllOf for a group, Claim for a comparison.
	Kind ConditionKind
	// Authority names the attestation service, on the trees' roots only.
	Authority string
	// Claim, Operator and Value describe a comparison.
	Claim    string
	Operator Operator
	Value    Value
	// Line and Column, from 1, are where it begins; Column counts characters.
	Line, Column int
	// Conditions are the members of a group.
	Conditions []Node
}

// Value is a scalar of a policy.
type Value struct {
	// Text is what claims are compared with.
	Text string
	// JSON is how it is written: a string, a number, true or false.
	JSON string
}

// Tree is the policy for those who judge or rewrite it: one tree for each
// authority, in the policy's order.
func (p *ReleasePolicy) Tree() []Node {
	c := cursor{text: p.raw, line: 1, column: 1}
	roots := make([]Node, len(p.authorities))
	for i, a := range p.authorities {
		c.advance(a.at)
		roots[i] = Node{Kind: a.group.kind, Authority: a.name, Line: c.line, Column: c.column}
		roots[i].Conditions = c.nodes(a.group.conditions)
	}
	return roots
}

// cursor finds lines and columns of growing offsets, in one pass.
type cursor struct {
	text             []byte
	at, line, column int
}

func (c *cursor) advance(offset int) {
	for c.at < offset {
		r, size := utf8.DecodeRune(c.text[c.at:])
		c.at += size
		c.column++
		if r == '\n' {
			c.line, c.column = c.line+1, 1
		}
	}
}

func (c *cursor) nodes(conditions []condition) []Node {
	all := make([]Node, len(conditions))
	for i, one := range conditions {
		c.advance(one.at)
		n := Node{Kind: Claim, Line: c.line, Column: c.column}
		if one.group != nil {
			n.Kind, n.Conditions = one.group.kind, c.nodes(one.group.conditions)
		} else {
			n.Claim, n.Operator, n.Value = one.claim, one.operator, Value{one.value.text, one.value.json}
		}
		all[i] = n
	}
	return all
}

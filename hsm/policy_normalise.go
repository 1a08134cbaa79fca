package hsm

import (
	"bytes"
	"encoding/json"
)

// Flavour is which of the two services keeps a key. They speak one protocol
// with differences in the order of members, in defaults and in texts.
type Flavour int

const (
	// KeyVault is Azure Key Vault.
	KeyVault Flavour = iota
	// ManagedHSM is Azure Key Vault Managed HSM.
	ManagedHSM
)

func (f Flavour) String() string {
	if f == ManagedHSM {
		return "Managed HSM"
	}
	return "Key Vault"
}

// Normalised is the policy as the service stores it and repeats it in release
// statements, compact. Key Vault writes version first and each authority's
// name before its conditions, without a trailing slash; Managed HSM sorts
// members by name, keeps the slash and writes version 1.0.0 (both as in the
// release statements that the Azure SDK for Go recorded).
func (p *ReleasePolicy) Normalised(f Flavour) []byte {
	var w policyWriter
	if f == ManagedHSM {
		w.sorted(p)
	} else {
		w.ordered(p)
	}
	return w.text
}

type policyWriter struct{ text []byte }

func (w *policyWriter) add(parts ...string) {
	for _, part := range parts {
		w.text = append(w.text, part...)
	}
}

func (w *policyWriter) ordered(p *ReleasePolicy) {
	w.add(`{"version":`, quote(p.version), `,"anyOf":[`)
	for i, a := range p.authorities {
		w.comma(i)
		w.add(`{"authority":`, quote(withoutSlash(a.name)), `,`)
		w.group(&a.group)
		w.add("}")
	}
	w.add(`]}`)
}

// sorted relies on allOf and anyOf standing before authority.
func (w *policyWriter) sorted(p *ReleasePolicy) {
	w.add(`{"anyOf":[`)
	for i, a := range p.authorities {
		w.comma(i)
		w.add("{")
		w.group(&a.group)
		w.add(`,"authority":`, quote(a.name), `}`)
	}
	w.add(`],"version":`, quote(policyVersions[0]), `}`)
}

func (w *policyWriter) group(g *group) {
	w.add(quote(string(g.kind)), `:[`)
	for i := range g.conditions {
		w.comma(i)
		w.add("{")
		w.condition(&g.conditions[i])
		w.add("}")
	}
	w.add("]")
}

// condition has one order in both forms: claim sorts before every operator.
func (w *policyWriter) condition(c *condition) {
	if c.group != nil {
		w.group(c.group)
		return
	}
	w.add(`"claim":`, quote(c.claim), `,`, quote(string(c.operator)), `:`, c.value.json)
}

func (w *policyWriter) comma(i int) {
	if i > 0 {
		w.add(",")
	}
}

// quote is the JSON string of text, without the escapes that only HTML needs.
func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string and a buffer: it cannot fail
	return string(bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
}

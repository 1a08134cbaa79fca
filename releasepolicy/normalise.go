package releasepolicy

import (
	"bytes"
	"encoding/json"
)

// Flavour is the service that keeps a key. The two services speak one protocol, which
// differs in the order of members, in defaults and in texts.
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

// Normalised returns the policy as the service stores it and repeats it in release
// statements, compact. Key Vault writes version first and each authority's name before its
// conditions, without a trailing slash. Managed HSM sorts members by name, keeps the slash
// and writes version 1.0.0. Both are observed in the release statements that the Azure SDK
// for Go recorded.
func (p *Policy) Normalised(f Flavour) []byte {
	var w writer
	if f == ManagedHSM {
		w.sorted(p.roots)
	} else {
		w.ordered(p.version, p.roots, withoutSlash)
	}
	return w.text
}

// Same reports whether the service stores both policies as the same text.
func Same(a, b *Policy, f Flavour) bool {
	return bytes.Equal(a.Normalised(f), b.Normalised(f))
}

// format returns the text of a policy with these authorities, indented.
func format(version string, authorities []Condition) []byte {
	var w writer
	w.ordered(version, authorities, func(name string) string { return name })
	var indented bytes.Buffer
	_ = json.Indent(&indented, w.text, "", "  ") // the writer writes JSON: it cannot fail
	indented.WriteByte('\n')
	return indented.Bytes()
}

// writer writes the members of a policy in the order of a service.
type writer struct{ text []byte }

func (w *writer) add(parts ...string) {
	for _, part := range parts {
		w.text = append(w.text, part...)
	}
}

// ordered writes version and the authorities' names first.
func (w *writer) ordered(version string, authorities []Condition, spelling func(name string) string) {
	w.add(`{"version":`, quoteJSON(version), `,"anyOf":[`)
	for i := range authorities {
		a := &authorities[i]
		w.comma(i)
		w.add(`{"authority":`, quoteJSON(spelling(a.Authority)), `,`)
		w.group(a)
		w.add("}")
	}
	w.add(`]}`)
}

// sorted writes members by name: allOf and anyOf sort before authority, and that before
// version.
func (w *writer) sorted(authorities []Condition) {
	w.add(`{"anyOf":[`)
	for i := range authorities {
		a := &authorities[i]
		w.comma(i)
		w.add("{")
		w.group(a)
		w.add(`,"authority":`, quoteJSON(a.Authority), `}`)
	}
	w.add(`],"version":`, quoteJSON(versions[0]), `}`)
}

func (w *writer) group(c *Condition) {
	w.add(quoteJSON(string(c.Kind)), `:[`)
	for i := range c.Conditions {
		w.comma(i)
		w.add("{")
		w.condition(&c.Conditions[i])
		w.add("}")
	}
	w.add("]")
}

// condition writes claim first, which sorts before every operator.
func (w *writer) condition(c *Condition) {
	if c.Kind != Claim {
		w.group(c)
		return
	}
	value := c.Value.JSON
	if !json.Valid([]byte(value)) {
		value = "null" // Parse refuses it
	}
	w.add(`"claim":`, quoteJSON(c.Claim), `,`, quoteJSON(string(c.Operator)), `:`, value)
}

func (w *writer) comma(i int) {
	if i > 0 {
		w.add(",")
	}
}

// quoteJSON returns the JSON string of text, without the escapes that only HTML needs.
func quoteJSON(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string and a buffer: it cannot fail
	return string(bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
}

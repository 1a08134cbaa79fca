package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// member is one member of a JSON object.
type member struct {
	name  string
	value any
}

// object is a JSON object that keeps the order of its members, as Key Vault
// does. Managed HSM sorts members by name at every level.
type object []member

// with appends a member.
func (o object) with(name string, value any) object {
	return append(o, member{name, value})
}

// sorted returns the object in Managed HSM's order.
func (o object) sorted() object {
	o = slices.Clone(o)
	slices.SortFunc(o, func(a, b member) int { return strings.Compare(a.name, b.name) })
	for i := range o {
		switch value := o[i].value.(type) {
		case object:
			o[i].value = value.sorted()
		case []object:
			all := make([]object, len(value))
			for j := range value {
				all[j] = value[j].sorted()
			}
			o[i].value = all
		}
	}
	return o
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(plainJSON(m.name))
		b.WriteByte(':')
		b.Write(plainJSON(m.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// plainJSON encodes without the escapes for HTML, because links contain "&".
func plainJSON(value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err) // cannot fail: only objects, strings, numbers and booleans are passed
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// encode returns the object in the flavour's order.
func (v *Vault) encode(o object) []byte {
	if v.managedHSM() {
		o = o.sorted()
	}
	return plainJSON(o)
}

func encode64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// decode64 accepts base64url with and without padding, as the services do.
func decode64(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

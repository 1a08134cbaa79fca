// Package strictjson reads the JSON that others write: requests, claims, keys, error
// bodies and documents of certificates. It is the only decoder of such texts.
//
//	claims, err := strictjson.Parse(payload)
//	kind, found := claims.Text("x-ms-isolation-tee.x-ms-attestation-type")
//
//	err := strictjson.Decoder{}.Decode(data, &key)
//
// Two readers of one text must not see different things. encoding/json takes the last of
// several members of one name, matches names in any capitals, replaces what is not
// Unicode and puts numbers into float64. Here, at any depth:
//
//   - A name that stands twice is an error, and so are two names that differ in case only.
//   - A name is that of its field exactly. One that differs in case only is an error.
//   - Text that is not Unicode is an error, and so is data after the value.
//   - Numbers keep their text.
//   - Size, depth and number of values have bounds.
//
// Package strictyaml holds YAML to the same rules and decodes with this package.
package strictjson

import (
	"errors"
	"reflect"
	"strings"
)

// Object is a JSON object. Only Parse makes one, and it never changes.
type Object struct{ members map[string]any }

// Parse decodes one JSON object of at most 1 MiB, with nothing after it.
func Parse(data []byte) (Object, error) {
	value, err := Decoder{}.read(data, nil, true)
	if err != nil {
		return Object{}, err
	}
	members, ok := value.(map[string]any)
	if !ok {
		return Object{}, errors.New("is not a JSON object")
	}
	return Object{members}, nil
}

// Lookup walks a dotted path through nested objects, as release policies write
// it ("Azure Key Vault secure key release policy grammar"). The names of claims
// hold no dots. Values are string, bool, json.Number, nil, []any or
// map[string]any, and must not be changed.
func (o Object) Lookup(path string) (any, bool) {
	var value any = o.members
	for name := range strings.SplitSeq(path, ".") {
		members, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = members[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// Text returns the string at a path, and false if there is no string.
func (o Object) Text(path string) (string, bool) {
	value, _ := o.Lookup(path)
	text, ok := value.(string)
	return text, ok
}

// Members returns the object's members by name. Like the values of Lookup, they must
// not be changed.
func (o Object) Members() map[string]any { return o.members }

// Equal reports whether a value of Lookup is this object. Numbers are equal
// if their texts are.
func (o Object) Equal(value any) bool { return reflect.DeepEqual(any(o.members), value) }

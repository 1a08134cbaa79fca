package jwk

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"

	"skr/internal/strictjson"
)

// Unmarshal decodes into a struct as encoding/json does, and refuses what that would
// let pass: data that [UniqueMembers] refuses, and a member whose name differs from a
// field's in capitals only. encoding/json takes "ALG" for "alg"; to others it is another
// member (RFC 7515 section 4, RFC 8725 section 2.4).
//
// Its errors hold nothing of data but the name of a field.
func Unmarshal(data []byte, into any) error {
	if err := walk(data, reflect.TypeOf(into)); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return describe(err)
	}
	return nil
}

var errCapitals = errors.New("names a member in other capitals than it is written")

// fields are those of a struct, as encoding/json finds them: by their exact names, and
// which folded names they have.
type fields struct {
	exact  map[string]reflect.Type
	folded map[string]bool
}

var known sync.Map // of fields, by reflect.Type of the struct

// fieldsOf is empty for what is not a struct, or decodes itself.
func fieldsOf(t reflect.Type) fields {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return fields{}
	}
	if found, ok := known.Load(t); ok {
		return found.(fields) //nolint:forcetypeassert // only those are stored
	}
	f := fields{map[string]reflect.Type{}, map[string]bool{}}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || field.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		f.exact[name], f.folded[strictjson.Fold(name)] = field.Type, true
	}
	known.Store(t, f)
	return f
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// of is the type that the member of that name is decoded into; nil if it is passed over.
func (f fields) of(name, folded string) (reflect.Type, error) {
	if t, found := f.exact[name]; found {
		return t, nil
	}
	if f.folded[folded] {
		return nil, errCapitals
	}
	return nil, nil //nolint:nilnil // no type and no error
}

// elementOf is the type of a list's elements.
func elementOf(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
		return nil
	}
	return t.Elem()
}

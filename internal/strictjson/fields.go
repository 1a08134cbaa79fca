package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// Fields are the members that a struct has, as encoding/json finds them. The zero value
// is that of a type that is not a struct, or decodes itself.
type Fields struct {
	exact  map[string]reflect.StructField
	folded map[string]string // exact names by folded ones
}

var known sync.Map // of Fields, by the struct's reflect.Type

// FieldsOf returns the fields of t, which may be nil or a pointer.
func FieldsOf(t reflect.Type) Fields {
	t = pointed(t)
	if t == nil || t.Kind() != reflect.Struct || DecodesItself(t) {
		return Fields{}
	}
	if found, ok := known.Load(t); ok {
		return found.(Fields) //nolint:forcetypeassert // only those are stored
	}
	f := Fields{map[string]reflect.StructField{}, map[string]string{}}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || field.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		f.exact[name], f.folded[Fold(name)] = field, name
	}
	known.Store(t, f)
	return f
}

// Lookup returns the field of the member with exactly that name.
func (f Fields) Lookup(name string) (field reflect.StructField, found bool) {
	field, found = f.exact[name]
	return field, found
}

// InOtherCapitals returns the name of the member that differs from name in case only.
func (f Fields) InOtherCapitals(name string) (other string, found bool) {
	other, found = f.folded[Fold(name)]
	return other, found && other != name
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// DecodesItself reports whether t or a pointer to it has a method UnmarshalJSON.
func DecodesItself(t reflect.Type) bool {
	return t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler)
}

func pointed(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// elementOf returns the type of the elements of a list; nil if t is not a list.
func elementOf(t reflect.Type) reflect.Type {
	t = pointed(t)
	if t == nil || t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
		return nil
	}
	return t.Elem()
}

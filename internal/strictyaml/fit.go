package strictyaml

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/strictjson"
)

// fits refuses empty values, and members that t does not have in the same case; encoding/json ignores the
// case. called is the name of n in errors.
func fits(n *yaml.Node, t reflect.Type, called string) error {
	if isFree(t) {
		return nil // any value is allowed
	}
	if isEmpty(n) {
		return at(n, "%s is %w", called, ErrEmpty)
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return fits(n, t.Elem(), called)
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		return fitsStruct(n, t)
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		return fitsMap(n, t)
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for _, child := range n.Content {
			if err := fits(child, t.Elem(), "an entry of "+called); err != nil {
				return err
			}
		}
	}
	return nil // encoding/json refuses other kinds
}

// isFree reports whether t checks its values itself.
func isFree(t reflect.Type) bool {
	return t.Kind() == reflect.Interface || strictjson.DecodesItself(t)
}

func isEmpty(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return n.Tag == "!!null" || n.Tag == "!!str" && strings.TrimSpace(n.Value) == ""
	}
	return len(n.Content) == 0
}

func fitsStruct(n *yaml.Node, t reflect.Type) error {
	fields := strictjson.FieldsOf(t)
	return eachMember(n, func(name string, value *yaml.Node) error {
		field, found := fields.Lookup(name)
		switch other, capitals := fields.InOtherCapitals(name); {
		case found && field.Tag.Get("empty") == "strict" && value.Kind == yaml.SequenceNode && len(value.Content) == 0:
			return nil
		case found:
			return fits(value, field.Type, quoted(name))
		case capitals:
			return at(value, "member %.100q must be written %q", name, other)
		}
		return at(value, "member %.100q is unknown", name)
	})
}

// fitsMap checks the names too, because encoding/json reads "01" as the number 1.
func fitsMap(n *yaml.Node, t reflect.Type) error {
	return eachMember(n, func(name string, value *yaml.Node) error {
		if t.Key().Kind() != reflect.String && !number.MatchString(name) {
			return at(value, "member %.100q is not named by a number", name)
		}
		return fits(value, t.Elem(), quoted(name))
	})
}

func eachMember(n *yaml.Node, visit func(name string, value *yaml.Node) error) error {
	for i := 0; i < len(n.Content); i += 2 {
		if err := visit(n.Content[i].Value, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func quoted(name string) string { return `member "` + name + `"` }

package strictyaml

import (
	"encoding/json"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"skr/internal/strictjson"
)

// check refuses, at any depth, what two parsers could read differently.
func check(n *yaml.Node, depth int) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return at(n, "anchors and aliases are not allowed: write the value where it belongs")
	case n.Style&yaml.TaggedStyle != 0:
		return at(n, "the tag %.40q is not allowed: leave it out", n.Tag)
	case depth == 0:
		return at(n, "it is nested more than %d levels deep", maxDepth)
	case n.Kind == yaml.MappingNode:
		if err := checkNames(n); err != nil {
			return err
		}
	}
	for _, child := range n.Content {
		if err := check(child, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// checkNames checks the names of the members of a mapping.
func checkNames(mapping *yaml.Node) error {
	names := map[string]string{}
	for i := 0; i < len(mapping.Content); i += 2 {
		name := mapping.Content[i]
		switch {
		case name.Kind == yaml.AliasNode || name.Kind == yaml.ScalarNode && name.Tag == "!!merge":
			return at(name, "merge keys and aliases are not allowed: write the members where they belong")
		case name.Kind != yaml.ScalarNode:
			return at(name, "the name of a member must be a string")
		}
		other, found := names[strictjson.Fold(name.Value)]
		switch {
		case found && other == name.Value:
			return at(name, "member %.100q is duplicated", name.Value)
		case found:
			return at(name, "members %.100q and %.100q differ in case only", other, name.Value)
		}
		names[strictjson.Fold(name.Value)] = name.Value
	}
	return nil
}

// number matches a number of RFC 8259 section 6.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// plain returns the value of a checked node.
func plain(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		members := make(map[string]any, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			value, err := plain(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			members[n.Content[i].Value] = value
		}
		return members, nil
	case yaml.SequenceNode:
		values := make([]any, len(n.Content))
		for i, child := range n.Content {
			value, err := plain(child)
			if err != nil {
				return nil, err
			}
			values[i] = value
		}
		return values, nil
	}
	return scalar(n)
}

func scalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil //nolint:nilnil // the value of null
	case "!!bool":
		if n.Value != "true" && n.Value != "false" {
			return nil, at(n, "write %q as true or false, or in quotes if it is a text", n.Value)
		}
		return n.Value == "true", nil
	case "!!int", "!!float":
		if !number.MatchString(n.Value) {
			return nil, at(n, "write %.40q as a decimal number, or in quotes if it is a text", n.Value)
		}
		return json.Number(n.Value), nil
	}
	return n.Value, nil
}

func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...)
}

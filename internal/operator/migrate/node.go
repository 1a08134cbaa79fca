package migrate

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"skr/internal/operator/splice"
)

// set replaces a member, or adds it at the end.
func set(mapping *yaml.Node, name string, value *yaml.Node) {
	if i := splice.Index(mapping, name); i >= 0 {
		mapping.Content[i+1] = value
		return
	}
	mapping.Content = append(mapping.Content, scalar(name), value)
}

// setText sets a member to a text. It keeps the comment of the value that it replaces.
func setText(mapping *yaml.Node, name, value string) {
	if old := splice.Member(mapping, name); old != nil && old.Kind == yaml.ScalarNode {
		old.Tag, old.Value = "!!str", value
		if old.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			old.Style = 0
		}
		return
	}
	set(mapping, name, scalar(value))
}

func remove(mapping *yaml.Node, name string) *yaml.Node {
	i := splice.Index(mapping, name)
	if i < 0 {
		return nil
	}
	value := mapping.Content[i+1]
	mapping.Content = slices.Delete(mapping.Content, i, i+2)
	return value
}

// ensure returns the member of that kind, which it makes if it is absent or null.
func ensure(mapping *yaml.Node, name string, kind yaml.Kind) *yaml.Node {
	found := splice.Member(mapping, name)
	if found == nil || found.Kind != kind {
		found = &yaml.Node{Kind: kind}
		set(mapping, name, found)
	}
	return found
}

// removeIf removes the items of a list that match, and the list if none remains. It returns how many
// it removed.
func removeIf(mapping *yaml.Node, name string, match func(*yaml.Node) bool) int {
	list := splice.Member(mapping, name)
	before := len(splice.Items(list))
	if before == 0 {
		return 0
	}
	list.Content = slices.DeleteFunc(list.Content, match)
	if len(list.Content) == 0 {
		remove(mapping, name)
	}
	return before - len(list.Content)
}

// removeEmpty removes a member that is an empty mapping.
func removeEmpty(mapping *yaml.Node, name string) {
	if found := splice.Member(mapping, name); found != nil && found.Kind == yaml.MappingNode && len(found.Content) == 0 {
		remove(mapping, name)
	}
}

func scalar(value string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(value)
	return n
}

// written returns the node of a constant of this package.
func written(constant string) *yaml.Node {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(constant), &document); err != nil {
		panic(err)
	}
	return document.Content[0]
}

// mentions reports whether a scalar below n is one of the words.
func mentions(n *yaml.Node, words []string) bool {
	if n == nil {
		return false
	}
	if n.Kind == yaml.ScalarNode {
		return slices.Contains(words, n.Value)
	}
	return slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return mentions(child, words) })
}

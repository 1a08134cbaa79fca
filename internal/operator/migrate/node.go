package migrate

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// member returns the value of a member of a mapping, or nil.
func member(mapping *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		i := indexOf(mapping, name)
		if i < 0 {
			return nil
		}
		mapping = mapping.Content[i+1]
	}
	return mapping
}

// indexOf returns the index of a member's name in a mapping, or -1.
func indexOf(mapping *yaml.Node, name string) int {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return i
		}
	}
	return -1
}

// set replaces a member, or adds it at the end.
func set(mapping *yaml.Node, name string, value *yaml.Node) {
	if i := indexOf(mapping, name); i >= 0 {
		mapping.Content[i+1] = value
		return
	}
	mapping.Content = append(mapping.Content, scalar(name), value)
}

// setText sets a member to a text. It keeps the comment of the value that it replaces.
func setText(mapping *yaml.Node, name, value string) {
	if old := member(mapping, name); old != nil && old.Kind == yaml.ScalarNode {
		old.Tag, old.Value = "!!str", value
		if old.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			old.Style = 0
		}
		return
	}
	set(mapping, name, scalar(value))
}

func remove(mapping *yaml.Node, name string) *yaml.Node {
	i := indexOf(mapping, name)
	if i < 0 {
		return nil
	}
	value := mapping.Content[i+1]
	mapping.Content = slices.Delete(mapping.Content, i, i+2)
	return value
}

// ensure returns the member of that kind, which it makes if it is absent or null.
func ensure(mapping *yaml.Node, name string, kind yaml.Kind) *yaml.Node {
	found := member(mapping, name)
	if found == nil || found.Kind != kind {
		found = &yaml.Node{Kind: kind}
		set(mapping, name, found)
	}
	return found
}

// removeIf removes the items of a list that match, and the list if none remains. It returns how many
// it removed.
func removeIf(mapping *yaml.Node, name string, match func(*yaml.Node) bool) int {
	list := member(mapping, name)
	before := len(items(list))
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
	if found := member(mapping, name); found != nil && found.Kind == yaml.MappingNode && len(found.Content) == 0 {
		remove(mapping, name)
	}
}

// items returns the items of a list. It returns none for other nodes.
func items(list *yaml.Node) []*yaml.Node {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list.Content
}

// text returns the text of a scalar. It returns "" for other nodes.
func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
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

package splice

import (
	"go.yaml.in/yaml/v3"
)

// Member returns the value at a path of member names, or nil.
func Member(mapping *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		i := Index(mapping, name)
		if i < 0 {
			return nil
		}
		mapping = mapping.Content[i+1]
	}
	return mapping
}

// Index returns the index of a member's name in a mapping, or -1.
func Index(mapping *yaml.Node, name string) int {
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

// Items returns the items of a list. It returns none for other nodes.
func Items(list *yaml.Node) []*yaml.Node {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list.Content
}

// Scalar returns the text of a scalar. It returns "" for other nodes.
func Scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// identity returns what names an item in a list of Kubernetes or ACI: its name, or the key of a toleration.
func identity(item *yaml.Node) string {
	if name := Scalar(Member(item, "name")); name != "" {
		return name
	}
	return Scalar(Member(item, "key"))
}

// isAbsent reports whether a value is left out after its name, as in "volumes:".
func isAbsent(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" && n.Style == 0
}

// equal reports whether two nodes have the same value.
func equal(a, b *yaml.Node) bool {
	var left, right any
	if a.Decode(&left) != nil || b.Decode(&right) != nil {
		return false
	}
	return encode(left) == encode(right)
}

// editable returns an error if the members of a collection cannot be changed in one place, or are read differently
// by different parsers.
func (d *Document) editable(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return at(n, "an alias stands here: write the value where it belongs")
	case d.shared[n]:
		return at(n, "the anchor %.40q shares this value with another place: write the value in both places", n.Anchor)
	case n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		return at(n, "an anchor or a tag stands here: leave it out")
	}
	seen := map[string]bool{}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		name := n.Content[i]
		switch {
		case name.Tag == "!!merge":
			return at(name, "merge keys are not supported: write the members where they belong")
		case name.Kind != yaml.ScalarNode:
			return at(name, "the name of a member must be a string")
		case seen[name.Value]:
			return at(name, "member %.100q is duplicated", name.Value)
		}
		seen[name.Value] = true
	}
	return nil
}

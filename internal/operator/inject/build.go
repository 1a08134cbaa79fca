package inject

import (
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// mapping returns a mapping of names and values. It leaves out values that are nil.
func mapping(members ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for pair := range slices.Chunk(members, 2) {
		if value := pair[1].(*yaml.Node); value != nil {
			n.Content = append(n.Content, scalar(pair[0].(string)), value)
		}
	}
	return n
}

// list returns a list, or nil if it has no items.
func list(items ...*yaml.Node) *yaml.Node {
	if len(items) == 0 {
		return nil
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Content: items}
}

func scalar(value string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(value)
	return n
}

// text returns a scalar that is nil if it is empty.
func text(value string) *yaml.Node {
	if value == "" {
		return nil
	}
	return scalar(value)
}

func number(value int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(value)}
}

// inLine writes a mapping in one line.
func inLine(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
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

func errAt(n *yaml.Node, text string) error { return fmt.Errorf("line %d: %s", n.Line, text) }

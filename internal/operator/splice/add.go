package splice

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Overlay is what Add adds.
type Overlay struct {
	// Value is a mapping that is merged into another. A list in it is put before the items of the list that is
	// there. A scalar in it must equal the one that is there.
	Value *yaml.Node
	// Whole are paths of values that Remove deletes as a whole, with what others added to them.
	Whole []string
}

// ConflictError says that a value is there and differs from what Add would add.
type ConflictError struct {
	Line       int
	Path       string
	Have, Want string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("line %d: %s is %s, and %s is needed", e.Line, strings.ReplaceAll(strings.Trim(e.Path, "/"), "/", "."), e.Have, e.Want)
}

// Add plans to merge an overlay into a mapping. It returns the paths of what it adds, for Remove. A path that ends
// with "/" is a collection that it makes.
func (d *Document) Add(to *yaml.Node, o Overlay) (paths []string, err error) {
	a := addition{Document: d, whole: o.Whole, layout: layoutOf(to)}
	if to == nil || to.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: a mapping is needed", d.lineOf(to))
	}
	err = a.members(to, o.Value, "")
	return a.paths, err
}

func (d *Document) lineOf(n *yaml.Node) int {
	if n == nil {
		return 1
	}
	return n.Line
}

type addition struct {
	*Document
	whole  []string
	paths  []string
	layout layout
}

func (a *addition) members(to, want *yaml.Node, path string) error {
	if err := a.editable(to); err != nil {
		return err
	}
	added := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(want.Content); i += 2 {
		name, value := want.Content[i], want.Content[i+1]
		below := path + "/" + escape(name.Value)
		have := Member(to, name.Value)
		if have == nil {
			added.Content = append(added.Content, name, value)
			a.note(value, below)
			continue
		}
		if err := a.value(to, name.Value, have, value, below); err != nil {
			return err
		}
	}
	return a.insertMembers(to, added)
}

// value merges a value into the one that is there.
func (a *addition) value(parent *yaml.Node, name string, have, want *yaml.Node, path string) error {
	switch {
	case isAbsent(have) && !isFlow(parent) && want.Kind != yaml.ScalarNode:
		a.children(want, path)
		return a.insertBelow(parent.Content[Index(parent, name)], want)
	case have.Kind == yaml.AliasNode:
		return a.editable(have)
	case have.Kind == yaml.MappingNode && want.Kind == yaml.MappingNode:
		return a.members(have, want, path)
	case have.Kind == yaml.SequenceNode && want.Kind == yaml.SequenceNode:
		return a.items(have, want, path)
	case have.Kind == yaml.ScalarNode && equal(have, want):
		return nil
	}
	return &ConflictError{have.Line, path, short(have), short(want)}
}

func (a *addition) items(to, want *yaml.Node, path string) error {
	if err := a.editable(to); err != nil {
		return err
	}
	added := &yaml.Node{Kind: yaml.SequenceNode}
	for _, item := range want.Content {
		i := slices.IndexFunc(to.Content, func(other *yaml.Node) bool { return identity(other) == identity(item) })
		switch {
		case i < 0:
			added.Content = append(added.Content, item)
			a.paths = append(a.paths, path+"/"+escape(identity(item)))
		case !equal(to.Content[i], item):
			return &ConflictError{to.Content[i].Line, path + "/" + identity(item), "there already with another value", short(item)}
		}
	}
	return a.insertItems(to, added)
}

// note records an added value and, if it is a collection, what is in it.
func (a *addition) note(value *yaml.Node, path string) {
	if value.Kind == yaml.ScalarNode || slices.Contains(a.whole, path) {
		a.paths = append(a.paths, path)
		return
	}
	a.paths = append(a.paths, path+"/")
	a.children(value, path)
}

func (a *addition) children(value *yaml.Node, path string) {
	if value.Kind == yaml.SequenceNode {
		for _, item := range value.Content {
			a.paths = append(a.paths, path+"/"+escape(identity(item)))
		}
		return
	}
	for i := 0; i < len(value.Content); i += 2 {
		a.note(value.Content[i+1], path+"/"+escape(value.Content[i].Value))
	}
}

// escape writes a name into a path (RFC 6901, section 3).
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func unescape(name string) string { return strings.NewReplacer("~1", "/", "~0", "~").Replace(name) }

// short returns a value for an error.
func short(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "null"
	}
	return fmt.Sprintf("%.100q", n.Value)
}

package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxBytes     = 32 << 20 // manifests may contain policies with hundreds of layers
	maxDocuments = 1000
	maxDepth     = 100
	maxNodes     = 1 << 18 // after aliases are written out
)

// file is a parsed file with the layout of its lists.
type file struct {
	documents []*yaml.Node
	indent    int
	compact   bool // the items of a list stand below its name's first letter
}

func readFile(data []byte) (*file, error) {
	if len(data) > maxBytes {
		return nil, fmt.Errorf("they are longer than %d bytes", maxBytes)
	}
	f := &file{indent: 2}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for nodes := 0; ; {
		document := new(yaml.Node)
		err := decoder.Decode(document)
		switch {
		case errors.Is(err, io.EOF):
			return f, nil
		case err != nil:
			return nil, errors.New(strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "))
		case len(f.documents) == maxDocuments:
			return nil, fmt.Errorf("they have more than %d documents", maxDocuments)
		}
		settled, err := settle(document, maxDepth, &nodes)
		if err != nil {
			return nil, err
		}
		f.documents = append(f.documents, settled)
		f.layout(content(settled))
	}
}

// content returns the root of a document.
func content(document *yaml.Node) *yaml.Node {
	if len(document.Content) == 0 {
		return nil
	}
	return document.Content[0]
}

// settle returns a copy in which aliases are written out, so that each edit has one place. It refuses
// what parsers read differently.
func settle(n *yaml.Node, depth int, nodes *int) (*yaml.Node, error) {
	if *nodes++; depth == 0 || *nodes > maxNodes {
		return nil, fmt.Errorf("line %d: they are nested deeper than %d or have more than %d values", n.Line, maxDepth, maxNodes)
	}
	if n.Kind == yaml.AliasNode {
		return settle(n.Alias, depth-1, nodes)
	}
	if n.Kind == yaml.MappingNode {
		if err := checkNames(n); err != nil {
			return nil, err
		}
	}
	settled := *n
	settled.Anchor, settled.Content = "", make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		copied, err := settle(child, depth-1, nodes)
		if err != nil {
			return nil, err
		}
		settled.Content[i] = copied
	}
	return &settled, nil
}

func checkNames(mapping *yaml.Node) error {
	seen := map[string]bool{}
	for i := 0; i < len(mapping.Content); i += 2 {
		name := mapping.Content[i]
		switch {
		case name.Kind == yaml.AliasNode:
			return fmt.Errorf("line %d: an alias stands for a name: write the name", name.Line)
		case name.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: the name of a member must be a string", name.Line)
		case name.Tag == "!!merge":
			return fmt.Errorf("line %d: merge keys are not supported: write the members where they belong", name.Line)
		case seen[name.Value]:
			return fmt.Errorf("line %d: member %.100q is duplicated", name.Line, name.Value)
		}
		seen[name.Value] = true
	}
	return nil
}

// layout takes the indentation from the first nested members and the first list.
func (f *file) layout(root *yaml.Node) {
	if root == nil || root.Kind != yaml.MappingNode || len(f.documents) > 1 {
		return
	}
	var lists func(n *yaml.Node) bool
	lists = func(n *yaml.Node) bool {
		for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			if value.Style&yaml.FlowStyle != 0 || len(value.Content) == 0 {
				continue
			}
			if value.Kind == yaml.SequenceNode {
				f.compact = value.Column == name.Column
				return true
			}
			if by := value.Column - name.Column; by >= 2 && by <= 8 {
				f.indent = by
			}
			if lists(value) {
				return true
			}
		}
		return false
	}
	lists(root)
}

func (f *file) write(out io.Writer) error {
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(f.indent)
	if f.compact {
		encoder.CompactSeqIndent()
	}
	for _, document := range f.documents {
		if err := encoder.Encode(document); err != nil {
			return err
		}
	}
	return encoder.Close()
}

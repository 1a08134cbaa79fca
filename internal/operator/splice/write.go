package splice

import (
	"bytes"
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
)

// layout is how a document writes the lists in its mappings.
type layout struct{ compact bool } // items stand below the first letter of the list's name

// layoutOf returns the layout of the first list in a mapping.
func layoutOf(n *yaml.Node) layout {
	var find func(n *yaml.Node) *bool
	find = func(n *yaml.Node) *bool {
		for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			if isFlow(value) || len(value.Content) == 0 {
				continue
			}
			if value.Kind == yaml.SequenceNode {
				compact := value.Column == name.Column
				return &compact
			}
			if found := find(value); found != nil {
				return found
			}
		}
		return nil
	}
	if n != nil {
		if compact := find(n); compact != nil {
			return layout{*compact}
		}
	}
	return layout{}
}

// block returns a collection in block style.
func (l layout) block(n *yaml.Node) string {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if l.compact {
		encoder.CompactSeqIndent()
	}
	if err := encoder.Encode(n); err != nil {
		panic(err) // nodes of this program
	}
	return out.String()
}

// flow is how members and items are written in braces and brackets. The text is JSON.
type flow struct {
	spaced       bool // a space follows each comma and colon
	lines        bool // each member has its own line
	indent, unit string
	newline      string
}

func (f flow) comma() string {
	if f.spaced {
		return ", "
	}
	return ","
}

// parts returns the members or items of a collection.
func (f flow) parts(n *yaml.Node) (parts []string) {
	colon := ":"
	if f.spaced {
		colon = ": "
	}
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i < len(n.Content); i += step {
		part := f.value(n.Content[i+step-1])
		if step == 2 {
			part = encode(n.Content[i].Value) + colon + part
		}
		parts = append(parts, part)
	}
	return parts
}

const maxFlowLine = 100

func (f flow) value(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		var value any
		if err := n.Decode(&value); err != nil {
			panic(err) // nodes of this program
		}
		return encode(value)
	}
	brackets := map[yaml.Kind]string{yaml.MappingNode: "{}", yaml.SequenceNode: "[]"}[n.Kind]
	inLine := flow{spaced: f.spaced}
	if whole := strings.Join(inLine.parts(n), f.comma()); !f.lines || len(whole) < maxFlowLine && isFlow(n) || whole == "" {
		return brackets[:1] + whole + brackets[1:]
	}
	deeper := f
	deeper.indent += f.unit
	next := f.newline + deeper.indent
	return brackets[:1] + next + strings.Join(deeper.parts(n), ","+next) + f.newline + f.indent + brackets[1:]
}

func encode(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // values of YAML and JSON
	}
	return strings.TrimSuffix(out.String(), "\n")
}

package splice

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// lastLine returns the last line of a value in block style. The value ends before a line, and its lines are indented
// deeper than its name. The parser reports only where values begin.
func (d *Document) lastLine(n *yaml.Node, indent, before int) int {
	deepest := last(n)
	line := max(deepest.Line, n.Line)
	if deepest.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		for line+1 < before && (strings.TrimSpace(d.line(line+1)) == "" || indentOf(d.line(line+1)) > indent) {
			line++
		}
		for strings.TrimSpace(d.line(line)) == "" {
			line--
		}
		return line
	}
	for line+1 < before && d.continues(line+1, indent) {
		line++
	}
	return line
}

// last returns the value that begins last.
func last(n *yaml.Node) *yaml.Node {
	for len(n.Content) > 0 {
		n = n.Content[len(n.Content)-1]
	}
	return n
}

// continues reports whether a line continues the value above it.
func (d *Document) continues(line, indent int) bool {
	text := strings.TrimSpace(d.line(line))
	return text != "" && text[0] != '#' && indentOf(d.line(line)) > indent
}

// end returns the offset after a value in flow style.
func (d *Document) end(n *yaml.Node) (int, error) {
	from := d.offset(n)
	switch {
	case n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Kind == yaml.AliasNode:
		return 0, at(n, "an anchor, an alias or a tag stands here: leave it out")
	case isAbsent(n):
		return from, nil
	case n.Kind != yaml.ScalarNode:
		return d.endOfCollection(n, from)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return d.endOfQuotes(n, from, `"`, `\`)
	case n.Style&yaml.SingleQuotedStyle != 0:
		return d.endOfQuotes(n, from, `'`, `'`)
	case strings.HasPrefix(d.text[from:], n.Value):
		return from + len(n.Value), nil
	}
	return 0, at(n, "the value has several lines: write it in one")
}

func (d *Document) endOfQuotes(n *yaml.Node, from int, quote, escape string) (int, error) {
	for i := from + 1; i < len(d.text); i++ {
		switch {
		case escape == quote && strings.HasPrefix(d.text[i:], quote+quote), escape != quote && d.text[i:i+1] == escape:
			i++
		case d.text[i:i+1] == quote:
			return i + 1, nil
		}
	}
	return 0, at(n, "the quotes do not end")
}

// endOfCollection finds the bracket after the last child. Only commas, spaces and comments stand between.
func (d *Document) endOfCollection(n *yaml.Node, from int) (end int, err error) {
	end = from + 1
	if len(n.Content) > 0 {
		if end, err = d.end(n.Content[len(n.Content)-1]); err != nil {
			return 0, err
		}
	}
	for end < len(d.text) {
		switch d.text[end] {
		case '}', ']':
			return end + 1, nil
		case '#':
			for end < len(d.text) && d.text[end] != '\n' {
				end++
			}
		default:
			end++
		}
	}
	return 0, at(n, "the brackets do not end")
}

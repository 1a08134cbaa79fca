package splice

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// anchors are members that additions stand before. Other mappings get them before their first member.
var anchors = []string{"containers", "spec", "properties"}

func (a *addition) insertMembers(to, added *yaml.Node) error {
	if len(added.Content) == 0 {
		return nil
	}
	if isFlow(to) {
		return a.insertInFlow(to, added)
	}
	line, err := a.lineForMembers(to)
	if err != nil {
		return err
	}
	a.insertLines(line, indentOf(a.line(line)), added)
	return nil
}

// lineForMembers returns the line that new members of a block mapping are inserted before.
func (a *addition) lineForMembers(to *yaml.Node) (int, error) {
	order := make([]*yaml.Node, 0, len(to.Content)/2+1)
	for _, name := range anchors {
		if i := Index(to, name); i >= 0 {
			order = append(order, to.Content[i])
			break
		}
	}
	for i := 0; i < len(to.Content); i += 2 {
		order = append(order, to.Content[i])
	}
	i := slices.IndexFunc(order, func(name *yaml.Node) bool { return a.beginsLine(name) })
	if i < 0 {
		return 0, at(to, "no member of this mapping begins a line: write each in a line of its own")
	}
	return a.aboveComments(order[i].Line), nil
}

// beginsLine reports whether only spaces stand before a node.
func (d *Document) beginsLine(n *yaml.Node) bool {
	return indentOf(d.line(n.Line)) == n.Column-1
}

func (a *addition) insertItems(to, added *yaml.Node) error {
	if len(added.Content) == 0 {
		return nil
	}
	if isFlow(to) {
		return a.insertInFlow(to, added)
	}
	if !a.beginsLine(to) {
		return at(to, "the first item of this list does not begin a line: write it in a line of its own")
	}
	a.insertLines(a.aboveComments(to.Line), to.Column-1, added)
	return nil
}

// insertBelow inserts the content of a member whose value is left out.
func (a *addition) insertBelow(name, added *yaml.Node) error {
	if !a.beginsLine(name) {
		return at(name, "this member does not begin a line: write it in a line of its own")
	}
	indent := name.Column - 1
	if added.Kind == yaml.MappingNode || !a.layout.compact {
		indent += 2
	}
	a.insertLines(name.Line+1, indent, added)
	return nil
}

// insertLines inserts a collection before a line.
func (a *addition) insertLines(line, indent int, added *yaml.Node) {
	var text strings.Builder
	for row := range strings.Lines(a.layout.block(added)) {
		text.WriteString(strings.Repeat(" ", indent) + strings.TrimSuffix(row, "\n") + a.newline)
	}
	from := a.lineEnd(line - 1)
	if line == 1 {
		from = 0
	}
	inserted := text.String()
	if from == len(a.text) && from > 0 && !strings.HasSuffix(a.text, a.newline) {
		inserted = a.newline + strings.TrimSuffix(inserted, a.newline)
	}
	a.edits = append(a.edits, edit{from, from, inserted})
}

// insertInFlow inserts members or items before the first one, in lines of their own if that one has its own.
func (a *addition) insertInFlow(to, added *yaml.Node) error {
	style := flow{spaced: !a.IsJSON() || strings.Contains(a.text, ": ")}
	if len(to.Content) == 0 {
		from := a.offset(to) + 1
		a.edits = append(a.edits, edit{from, from, strings.Join(style.parts(added), style.comma())})
		return nil
	}
	first := to.Content[0]
	if first.Anchor != "" || first.Style&yaml.TaggedStyle != 0 {
		return at(first, "an anchor or a tag stands here: leave it out")
	}
	from, between := a.offset(first), style.comma()
	if first.Line > to.Line {
		indent := a.text[a.starts[first.Line-1]:from]
		if strings.Trim(indent, " \t") != "" {
			return at(first, "it does not begin a line: write it in a line of its own")
		}
		between = "," + a.newline + indent
		style = flow{spaced: true, lines: true, indent: indent, unit: a.unit(), newline: a.newline}
	}
	a.edits = append(a.edits, edit{from, from, strings.Join(style.parts(added), between) + between})
	return nil
}

// unit returns the indentation of the first indented line.
func (d *Document) unit() string {
	for number := range d.starts {
		line := d.line(number + 1)
		if rest := strings.TrimLeft(line, " \t"); rest != "" && len(rest) < len(line) {
			return line[:len(line)-len(rest)]
		}
	}
	return "  "
}

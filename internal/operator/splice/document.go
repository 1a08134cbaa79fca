// Package splice edits the text of YAML and JSON documents in place.
//
//	d, err := splice.Parse(text)
//	…
//	added, err := d.Add(d.Root(), overlay)
//	text = d.Text()
//
// It inserts and deletes bytes at the places that the parser reports, and writes no document anew: comments, order,
// blank lines, quotes and line ends stay. Removing what Add returned restores the text before it, byte for byte.
// It refuses to edit what is shared by an anchor, or what has merge keys or duplicate members.
package splice

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxDocuments = 1000
	maxDepth     = 100
	maxNodes     = 1 << 18
)

// Document is one document with the edits that are planned for it.
type Document struct {
	text    string
	starts  []int // offset of each line
	newline string
	root    *yaml.Node
	shared  map[*yaml.Node]bool // values that aliases stand for
	edits   []edit
}

// edit replaces a part of the text. Edits do not overlap.
type edit struct {
	from, to int
	text     string
}

// separator begins a document (YAML 1.2.2, section 9.1.2). Block scalars are indented and cannot look like it.
var separator = regexp.MustCompile(`(?m)^---(?:[ \t].*)?\r?$`)

var tabbed = regexp.MustCompile(`(?m)^ *\t`)

// Split splits a file into its documents. Joined, they are the file. It returns an error for other encodings than
// UTF-8.
func Split(file string) ([]string, error) {
	if !utf8.ValidString(file) || strings.ContainsRune(file, 0) {
		return nil, errors.New("the file is not UTF-8: save it as UTF-8")
	}
	var documents []string
	from := 0
	for _, found := range separator.FindAllStringIndex(file, -1) {
		if found[0] > from {
			documents = append(documents, file[from:found[0]])
			from = found[0]
		}
	}
	documents = append(documents, file[from:])
	if len(documents) > maxDocuments {
		return nil, fmt.Errorf("the file has more than %d documents", maxDocuments)
	}
	return documents, nil
}

// Parse parses one document. Its root is nil if it has only comments.
func Parse(text string) (*Document, error) {
	d := &Document{text: text, newline: "\n", shared: map[*yaml.Node]bool{}}
	d.lines()
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return d, nil
	case err != nil:
		message := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
		if tabbed.MatchString(text) {
			message += "; YAML indents with spaces, and a line begins with a tab"
		}
		return nil, errors.New(message)
	case decoder.Decode(&more) == nil:
		return nil, errors.New("a second document begins without a line ---")
	}
	d.root = document.Content[0]
	nodes := 0
	return d, d.bound(d.root, maxDepth, &nodes)
}

// bound limits the size of the document, and notes what is shared.
func (d *Document) bound(n *yaml.Node, depth int, nodes *int) error {
	if *nodes++; depth == 0 || *nodes > maxNodes {
		return at(n, "it is nested deeper than %d or has more than %d values", maxDepth, maxNodes)
	}
	if n.Kind == yaml.AliasNode {
		d.shared[n.Alias] = true
		return nil
	}
	for _, child := range n.Content {
		if err := d.bound(child, depth-1, nodes); err != nil {
			return err
		}
	}
	return nil
}

// lines finds the lines as the parser does: it ends them at CR LF, CR, LF, NEL, LS and PS.
func (d *Document) lines() {
	d.starts = []int{0}
	first := true
	for i, r := range d.text {
		isCRLF := r == '\r' && strings.HasPrefix(d.text[i+1:], "\n")
		if isCRLF || !strings.ContainsRune("\r\n\u0085\u2028\u2029", r) {
			continue
		}
		d.starts = append(d.starts, i+utf8.RuneLen(r))
		if first && r == '\n' && strings.HasSuffix(d.text[:i], "\r") {
			d.newline = "\r\n"
		}
		first = false
	}
}

// Root returns the value of the document, or nil.
func (d *Document) Root() *yaml.Node { return d.root }

// IsJSON reports whether the document may be JSON, so that additions must be JSON too.
func (d *Document) IsJSON() bool { return d.root != nil && isFlow(d.root) }

// Text returns the text with the planned edits.
func (d *Document) Text() string {
	slices.SortStableFunc(d.edits, func(a, b edit) int { return a.from - b.from })
	var out strings.Builder
	from := 0
	for _, e := range d.edits {
		out.WriteString(d.text[from:e.from] + e.text)
		from = e.to
	}
	out.WriteString(d.text[from:])
	return out.String()
}

// line returns a line without its end, or "".
func (d *Document) line(number int) string {
	if number < 1 || number > len(d.starts) {
		return ""
	}
	return strings.TrimRight(d.text[d.starts[number-1]:d.lineEnd(number)], "\r\n\u0085\u2028\u2029")
}

// lineEnd returns the offset at which the next line begins.
func (d *Document) lineEnd(number int) int {
	if number >= len(d.starts) {
		return len(d.text)
	}
	return d.starts[number]
}

// offset returns the offset of a node. Columns count characters.
func (d *Document) offset(n *yaml.Node) int {
	offset := d.starts[n.Line-1]
	for range n.Column - 1 {
		_, width := utf8.DecodeRuneInString(d.text[offset:])
		offset += width
	}
	return offset
}

// aboveComments returns the first of the comment lines directly above a line that have its indentation.
func (d *Document) aboveComments(line int) int {
	comment := strings.Repeat(" ", indentOf(d.line(line))) + "#"
	for line > 1 && strings.HasPrefix(d.line(line-1), comment) {
		line--
	}
	return line
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...)
}

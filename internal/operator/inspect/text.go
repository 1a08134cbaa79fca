package inspect

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"skr/internal/check"
)

const (
	maxColumn = 32 // characters of a name or value that stand in columns
	indent    = "  "
)

// WriteText writes the description for people: names, values and meanings in
// columns, and long values whole on lines of their own. What could move a
// terminal's cursor is escaped.
func (d Description) WriteText(out io.Writer) error {
	var text strings.Builder
	text.WriteString(d.Name)
	if len(d.Carrier) > 0 {
		text.WriteString(" in " + strings.Join(d.Carrier, ", in "))
	}
	text.WriteByte('\n')
	for _, s := range d.Sections {
		fmt.Fprintf(&text, "\n%s\n", check.Printable(s.Title))
		s.write(&text)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (s Section) write(text *strings.Builder) {
	names, values := s.widths()
	for _, f := range s.Fields {
		name, value, meaning := check.Printable(f.Name), check.Printable(f.Value), check.Printable(f.Meaning)
		line := indent + pad(name, names) + indent
		switch {
		case long(value):
			line += meaning
			value = "\n" + indent + indent + value
		case value == "":
			line += meaning
		default:
			line += pad(value, values) + indent + meaning
			value = ""
		}
		text.WriteString(strings.TrimRight(line, " ") + value + "\n")
	}
}

// widths are those of the columns.
func (s Section) widths() (names, values int) {
	for _, f := range s.Fields {
		names = max(names, min(maxColumn, utf8.RuneCountInString(check.Printable(f.Name))))
		if value := check.Printable(f.Value); !long(value) {
			values = max(values, utf8.RuneCountInString(value))
		}
	}
	return names, values
}

func long(value string) bool { return utf8.RuneCountInString(value) > maxColumn }

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

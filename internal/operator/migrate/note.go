package migrate

import (
	"fmt"

	"skr/internal/excerpt"
)

// Note is something that the operator must know about a migration.
type Note struct {
	Kind Kind `json:"kind"`
	// Where is the object that the note is about. It is empty for a note about all of them.
	Where string `json:"where,omitempty"`
	Text  string `json:"text"`
	// Command is a command for a shell. It has capitals in the places that the operator fills.
	Command string `json:"command,omitempty"`
}

// Kind tells notes apart.
type Kind string

// The kinds of notes.
const (
	Changed Kind = "changed"
	Lost    Kind = "not_carried_over"
	Next    Kind = "next"
)

var words = map[Kind]string{Changed: "changed", Lost: "not carried over", Next: "next"}

// String returns the note in one line.
func (n Note) String() string {
	line := words[n.Kind] + ": "
	if n.Where != "" {
		line += n.Where + ": "
	}
	line += n.Text
	if n.Command != "" {
		line += ": " + n.Command
	}
	return excerpt.Printable(line)
}

func (m *migration) changed(where, format string, args ...any) {
	m.notes = append(m.notes, Note{Kind: Changed, Where: where, Text: fmt.Sprintf(format, args...)})
}

func (m *migration) lost(where, format string, args ...any) {
	m.notes = append(m.notes, Note{Kind: Lost, Where: where, Text: fmt.Sprintf(format, args...)})
}

func (m *migration) next(text, command string) {
	m.notes = append(m.notes, Note{Kind: Next, Text: text, Command: command})
}

package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Style is how a [Report] is written.
type Style int

// The styles.
const (
	// Plain is text for files, pipes and terminals without colour.
	Plain Style = iota
	// Coloured is the same text with the outcomes in colour.
	Coloured
	// JSON is Report.Document.
	JSON
)

// Report is a list of results with what a command says around them.
type Report struct {
	Format Format
	// Heading is the first line of the text; "" for none.
	Heading string
	// File is the name of the text that lines and columns are of.
	File    string
	Results []Result
	// Closing is the last line of the text; "" for none.
	Closing string
	// Document is the JSON form. It holds the results as Format.Rows returns them.
	Document any
}

// Write prints the report.
func (r Report) Write(out io.Writer, style Style) error {
	if style == JSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		if r.Format.Indent {
			encoder.SetIndent("", "  ")
		}
		return encoder.Encode(r.Document)
	}
	var text strings.Builder
	if r.Heading != "" {
		text.WriteString(Printable(r.Heading) + "\n")
	}
	r.writeResults(&text, style)
	if r.Closing != "" {
		text.WriteString(Printable(r.Closing) + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// writeResults writes one line for each result, in columns, and what to do below it.
func (r Report) writeResults(text *strings.Builder, style Style) {
	words, names := r.widths()
	below := strings.Repeat(" ", len("  ")+words+len("  "))
	for _, result := range r.Results {
		word := pad(r.Format.word(result.Outcome), words)
		if style == Coloured {
			word = colours[result.Outcome] + word + "\x1b[0m"
		}
		line := "  " + word + "  " + pad(r.about(result), names) + "  " + Printable(result.Found)
		text.WriteString(strings.TrimRight(line, " ") + "\n")
		if result.Fix != "" {
			text.WriteString(below + "fix: " + Printable(result.Fix) + "\n")
		}
		if details := r.Format.details(result); details != "" {
			text.WriteString(below + "details: " + Printable(details) + "\n")
		}
	}
}

// colours set both the colour of the letters and the one behind them (ECMA-48, SGR, and the bright
// colours of aixterm), so that they can be read on a dark and on a light terminal.
var colours = map[Outcome]string{
	OK: "\x1b[30;42m", Note: "\x1b[30;46m", Warning: "\x1b[30;103m", Failed: "\x1b[1;97;41m", Skipped: "\x1b[30;47m",
}

// word puts failures in capitals, so that they stand out without colour.
func (f Format) word(o Outcome) string {
	if o == Failed {
		return strings.ToUpper(f.Words[o])
	}
	return f.Words[o]
}

// widths are those of the first two columns.
func (r Report) widths() (words, names int) {
	for o := range r.Format.Words {
		words = max(words, utf8.RuneCountInString(r.Format.word(o)))
	}
	for _, result := range r.Results {
		names = max(names, utf8.RuneCountInString(r.about(result)))
	}
	return words, names
}

// about names the check and its subject, after its place if it has one.
func (r Report) about(result Result) string {
	text := result.Name
	if result.Subject != "" {
		text += " (" + result.Subject + ")"
	}
	if result.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d: %s", r.File, result.Line, result.Column, text)
	}
	return Printable(text)
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// Printable escapes what is not a visible character, as Go source does.
func Printable(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

package check

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Format names what results are called in the documents of one command. Scripts read these
// names, so they never change.
type Format struct {
	// Words for the outcomes.
	Words map[Outcome]string
	// Names of the members of a result in JSON. A member whose name or text is empty is left out.
	Name, Subject, Outcome, Found, Fix string
	// Details names the member with the text of Err; "" keeps that text out of JSON and screen.
	Details string
	// Places adds the members line and column, also where both are 0.
	Places bool
	// Indent writes JSON over several lines.
	Indent bool
}

// Rows returns the results as JSON objects.
func (f Format) Rows(results []Result) []Row {
	rows := make([]Row, len(results))
	for i, r := range results {
		rows[i] = Row{f, r}
	}
	return rows
}

// Row is a result that encodes itself with the names of a [Format].
type Row struct {
	format Format
	Result Result
}

var _ json.Marshaler = Row{}

// MarshalJSON implements [json.Marshaler].
func (r Row) MarshalJSON() ([]byte, error) {
	f := r.format
	var o object
	o.text(f.Name, r.Result.Name)
	o.text(f.Subject, r.Result.Subject)
	o.text(f.Outcome, f.Words[r.Result.Outcome])
	if f.Places {
		o.member("line", r.Result.Line)
		o.member("column", r.Result.Column)
	}
	o.text(f.Found, r.Result.Found)
	o.text(f.Fix, r.Result.Fix)
	o.text(f.Details, f.details(r.Result))
	return o.end(), nil
}

// details returns the text of the cause if that says more than Found.
func (f Format) details(r Result) string {
	if f.Details == "" || r.Err == nil || strings.HasSuffix(r.Err.Error(), r.Found) {
		return ""
	}
	return r.Err.Error()
}

// object writes the members of a JSON object in the order of the calls.
type object struct{ buffer bytes.Buffer }

func (o *object) text(name, value string) {
	if name != "" && value != "" {
		o.member(name, value)
	}
}

// member adds a text or a number, which always have a JSON form.
func (o *object) member(name string, value any) {
	separator := byte(',')
	if o.buffer.Len() == 0 {
		separator = '{'
	}
	o.buffer.WriteByte(separator)
	o.value(name)
	o.buffer.WriteByte(':')
	o.value(value)
}

// value leaves <, > and & as they are: the encoder that prints the document decides on them.
func (o *object) value(value any) {
	encoder := json.NewEncoder(&o.buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	o.buffer.Truncate(o.buffer.Len() - 1) // the line end
}

func (o *object) end() []byte {
	if o.buffer.Len() == 0 {
		return []byte("{}")
	}
	o.buffer.WriteByte('}')
	return o.buffer.Bytes()
}

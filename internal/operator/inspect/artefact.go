// Package inspect recognises files of confidential computing and shows what is in them.
//
// Reports, tokens, certificates, endorsements and policies travel as bytes, in
// hexadecimal digits, in base64 of either alphabet, and inside JSON. [Recognise]
// goes by the content alone: it removes each encoding, layer by layer, until one of its
// recognisers knows what is left.
//
//	found, err := inspect.Recognise(file)
//	fmt.Println(found.Kind())                      // snp-report
//	err = found.Show(time.Now()).WriteText(out)    // or as JSON
//
// A shown artefact is a list of sections of fields, each with a name, a value and
// what it means. Tokens are shown decoded and are never repeated. The private part of a
// key is never shown.
//
// Only the form is checked here: a forged report is shown as well as a genuine one. Package
// verify verifies what is recognised here.
package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

const (
	// MaxBytes bounds a file.
	MaxBytes = 16 << 20
	// maxLayers bounds the nesting of encodings. The deepest known nesting is that of a
	// report in a request to Azure Attestation's AzureGuest: seven layers.
	maxLayers = 8
)

// Artefact is what was recognised. It is made only by Recognise.
type Artefact struct {
	kind    Kind
	carrier []string
	content content
	beside  bundle // what else is in the object
}

// content is a decoded artefact of one kind.
type content interface {
	// sections describe it. now decides what has expired.
	sections(now time.Time) []Section
}

// Recognise returns what data is. Its error is one line: what is wrong with the kind that
// the data looks like or, for unknown data, what the bytes look like.
func Recognise(data []byte) (Artefact, error) {
	switch {
	case len(data) == 0:
		return Artefact{}, errors.New("recognising: the file is empty")
	case len(data) > MaxBytes:
		return Artefact{}, fmt.Errorf("recognising: more than %d bytes", MaxBytes)
	}
	found, err := recognise(bytes.Clone(data), maxLayers)
	if errors.Is(err, errOther) {
		err = unknown(data)
	}
	if err != nil {
		return Artefact{}, fmt.Errorf("recognising %d bytes: %w", len(data), err)
	}
	return found, nil
}

// Kind returns what the artefact is.
func (a Artefact) Kind() Kind { return a.kind }

// Carrier returns the encodings that the artefact was found in, outermost first: "base64", "hex".
func (a Artefact) Carrier() []string { return a.carrier }

// Show describes the artefact at the time now.
func (a Artefact) Show(now time.Time) Description {
	sections := a.content.sections(now)
	if len(a.beside) > 0 {
		sections = append(sections, a.beside.list("Beside it, not shown"))
	}
	return Description{a.kind, a.String(), append([]string{}, a.carrier...), sections}
}

// named is content with a name of its own, which may be "".
type named interface{ name() string }

// String names the artefact without its content, for logs and errors.
func (a Artefact) String() string {
	if n, ok := a.content.(named); ok && n.name() != "" {
		return n.name()
	}
	return a.kind.Name()
}

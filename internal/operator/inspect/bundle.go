package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	maxParts = 64
	minPart  = 64 // characters; shorter texts are names, nonces and hashes
)

// part is an artefact in a JSON document, or the reason why there is none.
type part struct {
	path  string
	found Artefact
	// err is errOther for a part that is neither recognised nor expected.
	err error
	// as is the part that is missing because of err; "" if that is not known.
	as Kind
	// data is bound through a field of the report; nil if the part has no such data.
	data  []byte
	binds binding
	// lost is set if the part should have such data and is an object, whose exact bytes are
	// not known.
	lost bool
}

// bundle is a JSON document of no kind of its own that holds artefacts: the
// answers of this program's local API, the evidence files of other tools, and
// requests to MAA's AzureGuest.
type bundle []part

// partsError is the error for an object in which no member can be read. It is errOther,
// because the names of members alone identify nothing.
type partsError struct{ parts bundle }

func (e *partsError) Error() string        { return errOther.Error() }
func (e *partsError) Is(target error) bool { return target == errOther }

// unpackObject looks for artefacts in the members. Lists are not searched, except for a list
// of digests, which may be the values of PCRs: a list holds other documents, not the parts
// of one.
func unpackObject(in input, layers int) (Artefact, error) {
	if quoted, err := unpackQuote(in, layers); !errors.Is(err, errOther) {
		return quoted, err
	}
	var parts bundle
	parts.collect("", in.object.Members(), layers)
	if slices.ContainsFunc(parts, func(p part) bool { return p.err == nil }) {
		return Artefact{kind: Bundle, content: parts}, nil
	}
	for _, p := range parts {
		if _, expected := errors.AsType[*unreadableError](p.err); !expected && !errors.Is(p.err, errOther) {
			return Artefact{}, fmt.Errorf("member %.100q: %w", p.path, p.err)
		}
	}
	return Artefact{}, &partsError{parts}
}

func (b *bundle) collect(prefix string, members map[string]any, layers int) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		wanted, isKnown := expect(name)
		data := partData(members[name], isKnown)
		switch {
		case data == nil:
			continue
		case len(*b) >= maxParts:
			*b = append(*b, part{path: prefix + "…", err: &unreadableError{fmt.Sprintf("there are more than %d parts", maxParts), nil}})
			return
		case len(prefix)+len(name) > maxPath:
			*b = append(*b, part{path: fmt.Sprintf("%s%.*s…", prefix, minPart, name), err: &unreadableError{"its name is too long", nil}})
			continue
		}
		whole := part{path: prefix + name, as: wanted.as, binds: wanted.binds}
		whole.found, whole.err = recognise(data, layers)
		switch {
		case wanted.binds != 0:
			whole.bind(members[name])
		case isKnown:
			whole.err = wanted.compare(whole.found, whole.err)
		}
		b.add(whole)
	}
}

// bind keeps the bytes, which may be any data.
func (p *part) bind(value any) {
	data, err := boundData(value)
	switch {
	case err != nil:
		p.err = err
	case data == nil:
		p.lost = true
	case p.err != nil:
		p.err = errOther
	}
	p.data = data
}

// partData returns the bytes of a member that may be an artefact, or that must be one by
// its name, otherwise nil. An empty member counts as missing.
func partData(value any, isKnown bool) []byte {
	text, err := json.Marshal(value)
	if err != nil || slices.Contains([]string{`null`, `""`, `{}`, `[]`}, string(text)) {
		return nil
	}
	switch value := value.(type) {
	case string:
		if isKnown || len(value) >= minPart {
			return []byte(value)
		}
		return nil
	case map[string]any:
		return text
	case []any:
		if isKnown || len(text) >= minPart {
			return text
		}
	}
	if isKnown {
		return text
	}
	return nil
}

// add adds a part, or the parts that it consists of. A part that is not recognised is kept
// with errOther, so that it can be listed.
func (b *bundle) add(whole part) {
	if malformed, is := errors.AsType[*malformedError](whole.err); is {
		whole.as = malformed.kind
	}
	inner, nested := whole.found.content.(bundle)
	unread, within := errors.AsType[*partsError](whole.err)
	if within {
		inner = unread.parts
	}
	if !nested { // members beside it are parts, too
		inner = append(inner, whole.found.beside...)
		whole.found.beside = nil
	}
	_, faulty := errors.AsType[*unreadableError](whole.err)
	if faulty || whole.binds != 0 || !nested && !within {
		*b = append(*b, whole)
	}
	for _, p := range inner {
		p.path = whole.path + "." + p.path
		*b = append(*b, p)
	}
}

func (b bundle) sections(now time.Time) []Section {
	sections := []Section{b.list("Parts")}
	for _, p := range b {
		if p.err != nil {
			continue
		}
		for _, s := range p.found.content.sections(now) {
			s.Title = p.path + ": " + s.Title
			sections = append(sections, s)
		}
	}
	return sections
}

// list names the parts.
func (b bundle) list(title string) Section {
	list := Section{Title: title}
	for _, p := range b {
		if p.err != nil {
			list.add(p.path, "not shown", p.err.Error())
			continue
		}
		list.add(p.path, p.found.String(), strings.Join(p.found.carrier, ", "))
	}
	return list
}

// name distinguishes evidence of TDX without an SEV-SNP report.
func (b bundle) name() string {
	e := b.evidence()
	if e.Report != nil || e.TDQuote == nil && e.TDReport == nil {
		return ""
	}
	return "evidence of a TDX machine"
}

package artefact

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"skr/internal/object"
)

const (
	maxParts = 64
	minPart  = 64 // characters; shorter texts are names, nonces and hashes
)

// part is an artefact in a JSON document, or why what looks like one is none.
type part struct {
	path  string
	found Artefact
	err   error
}

// bundle is a JSON document of no kind of its own that holds artefacts: the
// answers of this program's local API, the evidence files of other tools, and
// requests to MAA's AzureGuest.
type bundle []part

// unpackObject looks for artefacts in the members. Lists are not searched: what
// they hold is a collection of other documents, not the parts of one. But for one
// of digests, which may be the values of PCRs.
func unpackObject(o object.Object, layers int) (Artefact, error) {
	var parts bundle
	parts.collect("", o.Members(), layers)
	if len(parts) == 0 {
		return Artefact{}, errOther
	}
	if !slices.ContainsFunc(parts, func(p part) bool { return p.err == nil }) {
		return Artefact{}, fmt.Errorf("member %.100q: %w", parts[0].path, parts[0].err)
	}
	return Artefact{kind: Bundle, content: parts}, nil
}

func (b *bundle) collect(prefix string, members map[string]any, layers int) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		data := partData(members[name])
		if data == nil || len(*b) >= maxParts || len(prefix)+len(name) > maxPath {
			continue
		}
		b.add(prefix+name, data, layers)
	}
}

// partData is the bytes of a member that may be an artefact, else nil.
func partData(value any) []byte {
	switch value := value.(type) {
	case string:
		if len(value) >= minPart {
			return []byte(value)
		}
	case map[string]any:
		if text, err := json.Marshal(value); err == nil && len(value) > 0 {
			return text
		}
	case []any:
		if text, err := json.Marshal(value); err == nil && isPCRList(value) {
			return text
		}
	}
	return nil
}

func (b *bundle) add(path string, data []byte, layers int) {
	found, err := recognise(data, layers)
	if errors.Is(err, errOther) {
		return
	}
	b.put(part{path, found, err})
}

// put adds a part, or those that it consists of.
func (b *bundle) put(whole part) {
	inner, nested := whole.found.content.(bundle)
	if !nested {
		*b = append(*b, whole)
		return
	}
	for _, p := range inner {
		p.path = whole.path + "." + p.path
		*b = append(*b, p)
	}
}

func (b bundle) evidence() Evidence {
	var all Evidence
	for _, p := range b {
		if e, ok := p.found.Evidence(); p.err == nil && ok {
			all.fill(e)
		}
	}
	return all
}

func (b bundle) sections(now time.Time) []Section {
	list := Section{Title: "Parts"}
	sections := []Section{{}}
	for _, p := range b {
		if p.err != nil {
			list.add(p.path, "not shown", p.err.Error())
			continue
		}
		list.add(p.path, p.found.String(), strings.Join(p.found.carrier, ", "))
		for _, s := range p.found.content.sections(now) {
			s.Title = p.path + ": " + s.Title
			sections = append(sections, s)
		}
	}
	sections[0] = list
	return sections
}

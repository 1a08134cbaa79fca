package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Part is one of the artefacts in a file, so that who judges some of them can tell
// what of the others was not looked at.
type Part struct {
	// Path is the member's, dotted, or the file's name; "" if the file is one artefact.
	Path string
	// Kind is what it is; "" if nothing recognises it.
	Kind Kind
	// Bound says that the bytes are for a field of a report, by their name.
	Bound bool
	// Err says why the part cannot be used although it is one: it is malformed, its name
	// says that it is something else, or it contradicts another part.
	Err error
}

// Parts are what the artefact consists of.
func (a Artefact) Parts() []Part {
	all, is := a.content.(bundle)
	if is {
		return append(all.parts(), all.contradictions()...)
	}
	parts := append([]Part{{Kind: a.kind}}, a.beside.parts()...)
	return append(parts, a.whole().contradictions()...)
}

// whole is the artefact as a list of parts, with what stands beside it in the same object.
func (a Artefact) whole() bundle {
	if all, is := a.content.(bundle); is {
		return all
	}
	beside := a.beside
	a.beside = nil
	return append(bundle{{found: a}}, beside...)
}

func (b bundle) parts() []Part {
	var parts []Part
	for _, p := range b {
		kind := p.found.kind
		if p.err != nil {
			kind = ""
		}
		parts = append(parts, Part{p.path, kind, p.binds != 0 && !p.lost, p.fault()})
	}
	return parts
}

// fault is nil for what nothing recognises and nothing expects.
func (p part) fault() error {
	if e := p.evidence(); p.err == nil {
		return p.inner(cmp.Or(e.ChainErr, e.EndorsementErr))
	}
	_, unreadable := errors.AsType[*unreadableError](p.err)
	_, malformed := errors.AsType[*malformedError](p.err)
	if !unreadable && !malformed {
		return nil
	}
	return p.inner(p.err)
}

// inner is an error in the part.
func (p part) inner(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%.100q: %w", p.path, err)
}

// contradictions are parts that say of the same thing something else than an earlier
// part. Only the first of them is judged, so the others must be like it.
func (b bundle) contradictions() []Part {
	var wrong []Part
	earlier := map[string]said{}
	for _, p := range b {
		says := p.says()
		for _, what := range slices.Sorted(maps.Keys(says)) {
			value := says[what]
			before, found := earlier[what]
			switch {
			case !found:
				earlier[what] = said{p.path, value}
			case !reflect.DeepEqual(before.value, value):
				err := fmt.Errorf("%.100q: its %s is another than that of %.100q", p.path, what, cmp.Or(before.path, "the file"))
				wrong = append(wrong, Part{Path: p.path, Kind: p.found.kind, Err: err})
			}
		}
	}
	return append(wrong, b.losses(earlier)...)
}

// bindings are what says calls data that are for a field of the report.
var bindings = map[binding]string{reportData: "runtime data", hostData: "init-time data"}

// losses are objects in the place of data of which no other part has the bytes.
func (b bundle) losses(there map[string]said) []Part {
	var lost []Part
	for _, p := range b {
		if _, found := there[bindings[p.binds]]; p.lost && !found {
			err := p.inner(errors.New("it is a JSON object, so that its exact bytes are lost: give it as a text"))
			lost = append(lost, Part{Path: p.path, Kind: p.found.kind, Err: err})
		}
	}
	return lost
}

// said is a statement and the part that makes it.
type said struct {
	path  string
	value any
}

// says is what the part has for each thing that there is one of.
func (p part) says() map[string]any {
	says := map[string]any{}
	evidence := p.evidence()
	if evidence.Report != nil {
		says["report"] = evidence.Report.Raw()
	}
	if evidence.Chain != nil {
		says["chain"] = evidence.Chain.PEM()
	}
	if evidence.Endorsement != nil {
		says["UVM endorsement"] = evidence.Endorsement.Raw()
	}
	if evidence.RuntimeData != nil {
		says["runtime data"] = evidence.RuntimeData
	}
	if evidence.InitTimeData != nil {
		says["init-time data"] = evidence.InitTimeData
	}
	if p.err == nil {
		p.found.Boot().says(says)
	}
	return says
}

func (b Boot) says(says map[string]any) {
	if b.HCL != nil {
		says["HCL report"] = b.HCL.Raw()
	}
	if b.Quote != nil {
		says["quote"] = *b.Quote
	}
	switch {
	case b.Signature != nil:
		says["quote's signature"] = b.Signature.Number()
	case b.Quote != nil && b.Quote.Signed():
		says["quote's signature"] = b.Quote.Signature()
	}
	if b.PCRs != nil {
		says["values of PCRs"] = b.PCRs
	}
	if b.Log != nil {
		says["event log"] = b.Log.Events()
	}
	if b.Certificate != nil {
		says["AK certificate"] = b.Certificate.Certificate().Raw
	}
}

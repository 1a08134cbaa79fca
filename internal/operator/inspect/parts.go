package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Part is one of the artefacts in a file. A verifier that uses some of them lists the others
// as not looked at.
type Part struct {
	// Path is the member's, dotted, or the file's name; "" if the file is one artefact.
	Path string
	// Kind is what it is; "" if it is not recognised.
	Kind Kind
	// Bound is set if the name of the part says that its bytes are bound through a field of a
	// report.
	Bound bool
	// Err is the reason why the part cannot be used: it is malformed, its name says that it
	// is something else, or it contradicts another part.
	Err error
}

// Parts returns what the artefact consists of.
func (a Artefact) Parts() []Part {
	all, is := a.content.(bundle)
	if is {
		return append(all.parts(), all.contradictions()...)
	}
	parts := append([]Part{{Kind: a.kind}}, a.beside.parts()...)
	return append(parts, a.whole().contradictions()...)
}

// whole returns the artefact as a list of parts, with the other members of the same object.
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

// fault returns nil for a part that is neither recognised nor expected.
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

// inner names the part in an error.
func (p part) inner(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%.100q: %w", p.path, err)
}

// contradictions returns the parts that differ from an earlier part of the same meaning. Only
// the first one is verified, so the others must be equal.
func (b bundle) contradictions() []Part {
	var wrong []Part
	earlier := map[string]statedBy{}
	for _, p := range b {
		statements := p.statements()
		for _, what := range slices.Sorted(maps.Keys(statements)) {
			value := statements[what]
			before, found := earlier[what]
			switch {
			case !found:
				earlier[what] = statedBy{p.path, value}
			case !reflect.DeepEqual(before.value, value):
				err := fmt.Errorf("%.100q: its %s is another than that of %.100q", p.path, what, cmp.Or(before.path, "the file"))
				wrong = append(wrong, Part{Path: p.path, Kind: p.found.kind, Err: err})
			}
		}
	}
	return append(wrong, b.losses(earlier)...)
}

// bindings are the names in statements of data that are bound through a field of the report.
var bindings = map[binding]string{reportData: "runtime data", hostData: "init-time data"}

// losses returns the objects in the place of bound data whose bytes no other part has.
func (b bundle) losses(there map[string]statedBy) []Part {
	var lost []Part
	for _, p := range b {
		if _, found := there[bindings[p.binds]]; p.lost && !found {
			err := p.inner(errors.New("it is a JSON object, so that its exact bytes are lost: give it as a text"))
			lost = append(lost, Part{Path: p.path, Kind: p.found.kind, Err: err})
		}
	}
	return lost
}

// statedBy is the value of a statement and the part that makes it.
type statedBy struct {
	path  string
	value any
}

// statements returns the values in the part, by the name of what there must be one of.
func (p part) statements() map[string]any {
	statements := map[string]any{}
	evidence := p.evidence()
	if evidence.Report != nil {
		statements["report"] = evidence.Report.Raw()
	}
	if evidence.Chain != nil {
		statements["chain"] = evidence.Chain.PEM()
	}
	if evidence.Endorsement != nil {
		statements["UVM endorsement"] = evidence.Endorsement.Raw()
	}
	if evidence.TDQuote != nil {
		statements["TDX quote"] = evidence.TDQuote.Raw()
	}
	if evidence.TDReport != nil {
		statements["TDX report"] = evidence.TDReport.Raw()
	}
	if evidence.RuntimeData != nil {
		statements["runtime data"] = evidence.RuntimeData
	}
	if evidence.InitTimeData != nil {
		statements["init-time data"] = evidence.InitTimeData
	}
	if p.err == nil {
		p.found.Boot().addStatements(statements)
	}
	return statements
}

func (b Boot) addStatements(statements map[string]any) {
	if b.HCL != nil {
		statements["HCL report"] = b.HCL.Raw()
	}
	if b.Quote != nil {
		statements["quote"] = *b.Quote
	}
	switch {
	case b.Signature != nil:
		statements["quote's signature"] = b.Signature.Number()
	case b.Quote != nil && b.Quote.Signed():
		statements["quote's signature"] = b.Quote.Signature()
	}
	if b.PCRs != nil {
		statements["values of PCRs"] = b.PCRs
	}
	if b.Log != nil {
		statements["event log"] = b.Log.Events()
	}
	if b.Certificate != nil {
		statements["AK certificate"] = b.Certificate.Certificate().Raw
	}
}

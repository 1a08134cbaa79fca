package strictjson

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrRepeated is the error of a name that stands twice, in the same capitals.
var ErrRepeated = errors.New("twice")

var errCapitals = errors.New("twice, in different capitals")

// names holds the members of one object that were read. A few need no map.
type names struct {
	few  [8]name
	used int
	many map[string]string // exact names by folded ones; nil while few suffice
}

type name struct{ folded, exact string }

// add returns an error if the name stands there already, in whatever capitals.
func (n *names) add(exact string) error {
	folded := Fold(exact)
	switch other, found := n.find(folded); {
	case found && other == exact:
		return ErrRepeated
	case found:
		return errCapitals
	}
	n.put(folded, exact)
	return nil
}

func (n *names) find(folded string) (exact string, found bool) {
	for _, known := range n.few[:n.used] {
		if known.folded == folded {
			return known.exact, true
		}
	}
	exact, found = n.many[folded]
	return exact, found
}

func (n *names) put(folded, exact string) {
	if n.used < len(n.few) {
		n.few[n.used] = name{folded, exact}
		n.used++
		return
	}
	if n.many == nil {
		n.many = make(map[string]string)
	}
	n.many[folded] = exact
}

// Fold returns the same text for all names that encoding/json takes for one
// another: those that differ in case only, by Unicode's simple folding.
func Fold(name string) string {
	if isFolded(name) {
		return name
	}
	return strings.Map(canonical, name)
}

// isFolded reports whether name is ASCII without capitals, as most names are.
func isFolded(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// canonical returns one rune for all that fold into one another: "k" for "K" and for
// the sign of kelvin.
func canonical(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			r = next
			break
		}
		r = next
	}
	if 'A' <= r && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}

package strictjson

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold returns the same text for all names that encoding/json takes for one
// another: those that differ in case only, by Unicode's simple folding.
func Fold(name string) string {
	if isFolded(name) {
		return name
	}
	return strings.Map(canonical, name)
}

// isFolded reports whether name is what most names are: ASCII without capitals.
func isFolded(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// canonical stands for the runes that fold into one another: "k" for "K" and for the
// sign of kelvin.
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

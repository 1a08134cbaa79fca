// Package excerpt shortens texts from outside and makes them fit for a terminal or a log.
//
//	fmt.Printf("the claim %s is unknown\n", excerpt.Quote(name))
//
// The result has one line, no control characters and at most a few hundred characters. The
// package does not look for secrets: package secmem does.
package excerpt

import (
	"strings"
	"unicode"
)

const maxShown = 200 // characters of the text

// Of returns the beginning of text, in printable characters.
func Of(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		text = string(runes[:maxShown]) + "…"
	}
	return Printable(text)
}

// Printable replaces each character that is not printable, such as those that move a
// terminal's cursor, and keeps the length.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Quote returns the beginning of text in quotation marks.
func Quote(text string) string { return `"` + Of(text) + `"` }

// Word returns the beginning of text, in quotation marks if it is empty or is not one word.
func Word(text string) string {
	if text == "" || strings.ContainsAny(text, " \t\"") {
		return Quote(text)
	}
	return Of(text)
}

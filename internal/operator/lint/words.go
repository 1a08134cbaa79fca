package lint

import (
	"strings"
	"unicode"

	"skr/hsm"
)

// describe is a comparison in words.
func describe(n hsm.Node) string {
	return printable(n.Claim) + " " + string(n.Operator) + " " + quoteUnlessPlain(n.Value.Text)
}

const maxShown = 200 // characters of a stranger's text

func excerpt(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		text = string(runes[:maxShown]) + "…"
	}
	return printable(text)
}

// printable replaces what would move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, text)
}

func quote(text string) string { return `"` + excerpt(text) + `"` }

// quoteUnlessPlain marks where a text with spaces begins and ends.
func quoteUnlessPlain(text string) string {
	if text == "" || strings.ContainsAny(text, " \t\"") {
		return quote(text)
	}
	return excerpt(text)
}

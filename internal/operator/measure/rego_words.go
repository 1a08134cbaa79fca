package measure

import (
	"bytes"
	"strings"
)

const endOfLine = "\n"

// tokens splits a text into names, numbers, strings with their quotation marks, operators
// and ends of lines. Comments are left out.
func tokens(text []byte) []string {
	var all []string
	for len(text) > 0 {
		n := 1
		switch c := text[0]; {
		case c == '#':
			n = until(text, '\n')
			text = text[n:]
			continue
		case c == ' ' || c == '\t' || c == '\r':
			text = text[1:]
			continue
		case c == '"':
			n = quoted(text)
		case c == '`':
			n = 1 + until(text[1:], '`') + 1
		case isWord(c):
			n = len(text) - len(bytes.TrimLeftFunc(text, func(r rune) bool { return r > 127 || isWord(byte(r)) })) //nolint:gosec // below 128 it is one byte
		case bytes.HasPrefix(text, []byte(":=")) || bytes.HasPrefix(text, []byte("==")):
			n = 2
		}
		n = min(n, len(text))
		all = append(all, string(text[:n]))
		text = text[n:]
	}
	return all
}

// isWord reports whether c belongs to a word. A reference is one word:
// data.framework.create_container.
func isWord(c byte) bool {
	return c == '_' || c == '.' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c > 127
}

func until(text []byte, end byte) int {
	if at := bytes.IndexByte(text, end); at >= 0 {
		return at
	}
	return len(text)
}

func quoted(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// statements splits words at the ends of lines and at semicolons outside of brackets. A
// statement continues after a line that ends with an operator.
func statements(words []string) [][]string {
	var all [][]string
	var one []string
	depth := 0
	for _, word := range words {
		depth += nesting(word)
		switch {
		case word != endOfLine && (word != ";" || depth > 0):
			one = append(one, word)
		case depth <= 0 && len(one) > 0 && !continues(one[len(one)-1]):
			all, one = append(all, one), nil
		}
	}
	if len(one) > 0 {
		all = append(all, one)
	}
	return all
}

func continues(word string) bool {
	return strings.Contains(" := = if default package ", " "+word+" ")
}

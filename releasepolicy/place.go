package releasepolicy

import (
	"fmt"
	"unicode/utf8"
)

// place is a line and a column of a text, each from 1. The column counts characters.
type place struct{ line, column int }

func (p place) errorf(format string, args ...any) error {
	return &ParseError{p.line, p.column, fmt.Sprintf(format, args...)}
}

// cursor finds the places of growing offsets in one pass over the text.
type cursor struct {
	text []byte
	at   int
	here place
}

func newCursor(text []byte) cursor { return cursor{text, 0, place{1, 1}} }

// place returns where offset is. It must not be less than in the call before.
func (c *cursor) place(offset int) place {
	for c.at < offset {
		r, size := utf8.DecodeRune(c.text[c.at:])
		c.at += size
		c.here.column++
		if r == '\n' {
			c.here = place{c.here.line + 1, 1}
		}
	}
	return c.here
}

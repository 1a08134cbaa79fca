package pictures

import (
	"fmt"
	"strings"
)

// The picture for narrow screens is a list, whose text has about the size of the page's text.
const (
	narrowWidth   = 360
	narrowColumns = 48 // characters of a line
	narrowLine    = 18
)

// list returns the picture for narrow screens: one step below the other.
func (s sequence) list() string {
	var steps strings.Builder
	y, noted := 10, map[int]bool{}
	for i, step := range s.steps {
		class, route := "box", s.route(i)
		if step.from == step.to {
			class = "check"
		}
		if note := s.parties[step.to].note; note != "" && !noted[step.to] {
			route += " (" + note + ")"
			noted[step.to] = true
		}
		lines := wrap(step.text, narrowColumns, "")
		height := narrowLine*(1+len(lines)) + 14
		fmt.Fprintf(&steps, `<rect class="%s" x="8" y="%d" width="%d" height="%d" rx="8"/>`, class, y, narrowWidth-16, height)
		fmt.Fprintf(&steps, `<text class="note" x="20" y="%d">%s</text>`, y+narrowLine+2, escape(route))
		for n, line := range lines {
			fmt.Fprintf(&steps, `<text x="20" y="%d">%s</text>`, y+narrowLine*(n+2)+2, escape(line))
		}
		steps.WriteString("\n")
		y += height + 6
	}
	var out strings.Builder
	s.open(&out, narrowWidth, y+4)
	out.WriteString(steps.String() + "</svg>\n")
	return out.String()
}

// wrap breaks a line at spaces, so that no part is longer than columns. Each part after the first
// begins with indent. A word that is longer than a line is cut into parts.
func wrap(line string, columns int, indent string) (lines []string) {
	rest := []rune(line)
	for len(rest) > columns {
		at := columns
		for i := columns; i > len(indent); i-- {
			if rest[i] == ' ' && strings.TrimSpace(string(rest[:i])) != "" {
				at = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(rest[:at]), " "))
		rest = []rune(indent + strings.TrimLeft(string(rest[at:]), " "))
	}
	return append(lines, string(rest))
}

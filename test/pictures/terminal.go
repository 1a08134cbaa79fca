package pictures

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	terminalColumns = 132
	lineHeight      = 17
	perLine         = 0.25 // seconds until the next line appears
)

const terminalStyle = `<style>
text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre;opacity:0;animation:show .01s forwards}
.title{fill:#7ee787;font-weight:600}.refused{fill:#ffa198}
@keyframes show{to{opacity:1}}
@media(prefers-reduced-motion:reduce){text{animation:none;opacity:1}}
</style>
`

// terminal returns a picture of a command and its output, in which one line appears after the
// other.
func terminal(command, output string) string {
	lines := []string{"$ " + command}
	for line := range strings.SplitSeq(strings.TrimSpace(output), "\n") {
		lines = append(lines, shorten(line))
	}
	width, height := terminalColumns*7+60, len(lines)*lineHeight+56
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="A recording of %s">`+"\n",
		width, height, escape(command))
	out.WriteString(terminalStyle)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" rx="8" fill="#0d1117" stroke="#3d444d"/>`+"\n", width, height)
	for i, colour := range []string{"#ff5f56", "#ffbd2e", "#27c93f"} {
		fmt.Fprintf(&out, `<circle cx="%d" cy="16" r="5" fill="%s"/>`, 20+18*i, colour)
	}
	out.WriteString("\n")
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		fmt.Fprintf(&out, `<text class="%s" x="20" y="%d" style="animation-delay:%.2fs">%s</text>`+"\n",
			class(line), 46+i*lineHeight, perLine*float64(i), escape(line))
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// class colours the titles of steps, and refusals.
func class(line string) string {
	switch {
	case line[0] >= '1' && line[0] <= '9', line[0] == '$':
		return "title"
	case strings.Contains(line, "rejected"):
		return "refused"
	}
	return "text"
}

func shorten(line string) string {
	if utf8.RuneCountInString(line) <= terminalColumns {
		return line
	}
	return string([]rune(line)[:terminalColumns-1]) + "…"
}

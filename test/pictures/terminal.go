package pictures

import (
	"fmt"
	"strings"
)

const (
	wideColumns   = 132
	phoneColumns  = 46
	lineHeight    = 17
	recordingTime = 4.5 // seconds until all lines are shown; more would need a control (WCAG 2.2, 2.2.2)
)

// terminalStyle shows all lines where nothing is animated: on paper, in programs without
// animations, and for readers who prefer none.
const terminalStyle = `<style>
text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre;animation:show .01s backwards}
.title{fill:#7ee787;font-weight:600}.refused{fill:#ffa198}
@keyframes show{from{opacity:0}}
@media print,(prefers-reduced-motion:reduce){text{animation:none}}
</style>
`

// shown is a line of a terminal with its class of colour.
type shown struct{ class, text string }

// terminal returns a picture of a command and its output, in which one line appears after the
// other.
func terminal(command, output string, columns int) string {
	lines := layout(command, output, columns)
	width, height := max(360, columns*7+60), len(lines)*lineHeight+56
	left := (width - columns*7) / 3 // A character is at most 7.3 pixels wide.
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc" lang="en">`+"\n", width, height)
	fmt.Fprintf(&out, "<title id=\"title\">A recording of %s</title>\n<desc id=\"desc\">%s</desc>\n", escape(command), escape(steps(output)))
	out.WriteString(terminalStyle)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" rx="8" fill="#0d1117" stroke="#3d444d"/>`+"\n", width, height)
	for i, colour := range []string{"#ff5f56", "#ffbd2e", "#27c93f"} {
		fmt.Fprintf(&out, `<circle cx="%d" cy="16" r="5" fill="%s"/>`, left+5+18*i, colour)
	}
	out.WriteString("\n")
	for i, line := range lines {
		if strings.TrimSpace(line.text) == "" {
			continue
		}
		fmt.Fprintf(&out, `<text class="%s" x="%d" y="%d" style="animation-delay:%.2fs">%s</text>`+"\n",
			line.class, left, 46+i*lineHeight, recordingTime*float64(i)/float64(len(lines)), escape(line.text))
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// layout breaks the lines of the output. Each continues below its first word.
func layout(command, output string, columns int) (lines []shown) {
	lines = append(lines, shown{"title", "$ " + command})
	for line := range strings.SplitSeq(strings.TrimSpace(output), "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		for _, part := range wrap(line, columns, indent) {
			lines = append(lines, shown{class(line), part})
		}
	}
	return lines
}

// class colours the titles of steps, and refusals.
func class(line string) string {
	switch {
	case line == "":
		return "text"
	case line[0] >= '1' && line[0] <= '9':
		return "title"
	case strings.Contains(line, "rejected"):
		return "refused"
	}
	return "text"
}

// steps returns the titles of the steps and the last line.
func steps(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var titles []string
	for _, line := range lines {
		if class(line) == "title" {
			titles = append(titles, line+".")
		}
	}
	return strings.Join(append(titles, lines[len(lines)-1]), " ")
}

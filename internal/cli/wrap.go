package cli

import "strings"

// reflow breaks the paragraphs of a text at width. Lines that begin with a space, such as examples,
// stay as they are.
func reflow(text string, width int) string {
	var out, paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			out = append(out, hang(strings.Join(paragraph, " "), 0, width))
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, " \n"), "\n") {
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			flush()
			out = append(out, line)
			continue
		}
		paragraph = append(paragraph, line)
	}
	flush()
	return strings.Join(out, "\n")
}

// hang breaks a text at width. All lines but the first begin with indent spaces. The first begins
// there too, behind what the caller has written. A word that is longer than a line stays whole.
func hang(text string, indent, width int) string {
	var out strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len([]rune(word)) > width:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += len([]rune(word))
	}
	return out.String()
}

// breakLists breaks lines that are still longer than width behind the commas of their lists.
func breakLists(text string, width int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		for len([]rune(strings.TrimRight(line, "\n"))) > width {
			at := strings.LastIndexByte(string([]rune(line)[:width]), ',') + 1
			if at <= len(indent) {
				break
			}
			out.WriteString(line[:at] + "\n")
			line = indent + line[at:]
		}
		out.WriteString(line)
	}
	return out.String()
}

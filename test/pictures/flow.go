// Package pictures makes the pictures of the documents: a sequence of messages from a text, and a
// terminal from the output of a program.
package pictures

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// sequence is a picture of messages between parties.
type sequence struct {
	parties []party
	steps   []step
}

// party has a name and a line below it, which may be empty.
type party struct{ name, note string }

// step is a message, or what a party does by itself: then from and to are equal.
type step struct {
	from, to int
	text     string
}

// parseSequence reads the sections parties and steps. Lines that begin with # are comments.
func parseSequence(text string) (s sequence, err error) {
	section := ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
			continue
		case !strings.HasPrefix(line, " "):
			section = trimmed
			continue
		}
		switch section {
		case "parties":
			name, note, _ := strings.Cut(trimmed, ": ")
			s.parties = append(s.parties, party{name, note})
		case "steps":
			err = errors.Join(err, s.add(trimmed))
		default:
			err = errors.Join(err, fmt.Errorf("%q is in no section", trimmed))
		}
	}
	return s, err
}

func (s *sequence) add(line string) error {
	names, text, found := strings.Cut(line, ": ")
	from, to, message := strings.Cut(names, " > ")
	if !message {
		from, text, found = strings.Cut(line, " = ")
		to = from
	}
	step := step{s.find(from), s.find(to), text}
	if !found || step.from < 0 || step.to < 0 {
		return fmt.Errorf("%q is neither a message nor a step of a party", line)
	}
	s.steps = append(s.steps, step)
	return nil
}

func (s *sequence) find(name string) int {
	return slices.IndexFunc(s.parties, func(p party) bool { return p.name == name })
}

const (
	columnWidth = 186
	headHeight  = 64
	rowHeight   = 34
)

// style follows the reader's light or dark setting, as web sites show pictures on either.
const style = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}.note{font-size:12px;fill:#59636e}.box{fill:#f6f8fa;stroke:#818b98}
.line{stroke:#d1d9e0}.arrow{stroke:#0969da;fill:none;stroke-width:1.5}.head{fill:#0969da}.check{fill:#dafbe1;stroke:#1a7f37}
.back{fill:#ffffff}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.note{fill:#9198a1}.box{fill:#212830;stroke:#656c76}.line{stroke:#3d444d}
.arrow{stroke:#4493f8}.head{fill:#4493f8}.check{fill:#12261e;stroke:#3fb950}.back{fill:#0d1117}}
</style>
`

// open writes the beginning of a picture: its name, its description, and the ground.
func (s sequence) open(out *strings.Builder, width, height int) {
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc" lang="en">`+"\n", width, height)
	fmt.Fprintf(out, "<title id=\"title\">The steps of a key release</title>\n<desc id=\"desc\">%s</desc>\n", escape(s.description()))
	out.WriteString(style)
	fmt.Fprintf(out, `<rect class="back" width="%d" height="%d" rx="8"/>`+"\n", width, height)
}

// description returns the steps as sentences.
func (s sequence) description() string {
	var steps []string
	for i, step := range s.steps {
		steps = append(steps, fmt.Sprintf("%s: %s.", s.route(i), step.text))
	}
	return strings.Join(steps, " ")
}

// route returns the number of a step, and who sends to whom.
func (s sequence) route(i int) string {
	step := s.steps[i]
	from, to := s.parties[step.from].name, s.parties[step.to].name
	if from == to {
		return fmt.Sprintf("%d. %s", i+1, from)
	}
	return fmt.Sprintf("%d. %s to %s", i+1, from, to)
}

// svg returns the picture for wide screens.
func (s sequence) svg() string {
	var out strings.Builder
	width, height := len(s.parties)*columnWidth, headHeight+rowHeight*(len(s.steps)+1)
	s.open(&out, width, height)
	for i, p := range s.parties {
		x := middle(i)
		fmt.Fprintf(&out, `<path class="line" d="M%d %dV%d"/><rect class="box" x="%d" y="10" width="%d" height="42" rx="6"/>`,
			x, headHeight-12, height-10, x-84, 168)
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="middle" font-weight="600">%s</text>`, x, 36-min(8, 8*len(p.note)), escape(p.name))
		if p.note != "" {
			fmt.Fprintf(&out, `<text class="note" x="%d" y="44" text-anchor="middle">%s</text>`, x, escape(p.note))
		}
		out.WriteString("\n")
	}
	for i, step := range s.steps {
		step.draw(&out, width, headHeight+rowHeight*i+24, i+1)
	}
	out.WriteString("</svg>\n")
	return out.String()
}

func middle(i int) int { return i*columnWidth + columnWidth/2 }

func (s step) draw(out *strings.Builder, pictureWidth, y, number int) {
	text := fmt.Sprintf("%d. %s", number, escape(s.text))
	from, to := middle(s.from), middle(s.to)
	if from == to {
		width := 7*len(s.text) + 40
		left := min(max(6, from-width/2), pictureWidth-width-6)
		fmt.Fprintf(out, `<rect class="check" x="%d" y="%d" width="%d" height="24" rx="12"/>`, left, y-17, width)
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+width/2, y-1, text)
		return
	}
	tip := 8
	if to < from {
		tip = -8
	}
	fmt.Fprintf(out, `<path class="arrow" d="M%d %dH%d"/><path class="head" d="M%d %dl%d -5v10z"/>`, from, y, to-tip, to, y, -tip)
	fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="%s">%s</text>`+"\n", from+tip, y-6, anchor(tip), text)
}

// anchor puts the text where the arrow begins, so that long texts stay inside the picture.
func anchor(tip int) string {
	if tip > 0 {
		return "start"
	}
	return "end"
}

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // A strings.Builder returns no errors.
	return out.String()
}

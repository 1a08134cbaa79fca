package verify

import (
	"fmt"
	"io"
	"strings"
	"time"

	"skr/internal/operator/inspect"
)

// Paint makes the outcome of a check visible on a terminal.
type Paint func(Outcome, string) string

// Plain paints nothing.
func Plain(_ Outcome, text string) string { return text }

// Coloured paints with the colours that every terminal has (ECMA-48, SGR).
func Coloured(o Outcome, text string) string {
	colour := map[Outcome]string{OK: "32", Failed: "1;31", Skipped: "33"}[o]
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// outcomeTexts have one width but for the spaces behind them; a failure stands out.
var outcomeTexts = map[Outcome]string{OK: "ok     ", Failed: "FAILED ", Skipped: "skipped"}

// WriteText writes a line for each check, the time that was asked about, and one line
// with all that was not looked at.
func (v *Verdict) WriteText(out io.Writer, paint Paint) error {
	width := 0
	for _, c := range v.Checks {
		width = max(width, len(c.Name))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s as of %s\n", v.Subject, v.At.Format(time.RFC3339))
	for _, c := range v.Checks {
		line := fmt.Sprintf("  %s  %-*s  %s", paint(c.Outcome, outcomeTexts[c.Outcome]), width, c.Name, inspect.Printable(c.Detail))
		text.WriteString(strings.TrimRight(line, " ") + "\n")
		if c.Advice != "" {
			fmt.Fprintf(&text, "           what to do: %s\n", c.Advice)
		}
	}
	if len(v.NotLookedAt) > 0 {
		text.WriteString("not looked at: " + inspect.Printable(strings.Join(v.NotLookedAt, "; ")) + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

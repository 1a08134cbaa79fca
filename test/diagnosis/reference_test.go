package diagnosis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"skr/test/reference"
)

const causesPage = "docs/reference/causes.md"

// TestCausesReference compares the misconfigurations, by the check that finds them, with their page.
func TestCausesReference(t *testing.T) {
	if len(misconfigurations) < 100 {
		t.Errorf("%d misconfigurations, want at least 100", len(misconfigurations))
	}
	var text strings.Builder
	for _, check := range checks(t) {
		var rows [][]string
		for _, m := range misconfigurations {
			if m.check == check {
				rows = append(rows, m.row())
			}
		}
		if len(rows) == 0 {
			continue
		}
		title := "`" + check + "`"
		if check == "" {
			title = "The command refuses"
		}
		head := []string{"problem", "message", "what to do", "exit code", "reason"}
		fmt.Fprintf(&text, "## %s\n\n%s\n", title, reference.Table(head, rows))
	}
	reference.Check(t, causesPage, "causes", text.String())
}

// checks returns the checks of the doctor in their order, after "" for a refusal before any check. It
// fails if a row has another.
func checks(t *testing.T) []string {
	all := []string{""}
	for _, check := range reference.Constants(t, "../../internal/sidecar/doctor/step.go", "") {
		all = append(all, check.Value)
	}
	for _, m := range misconfigurations {
		if !slices.Contains(all, m.check) {
			t.Errorf("%s: the doctor has no check %q", m.name, m.check)
		}
	}
	return all
}

func (m misconfiguration) row() []string {
	code, claim := strconv.Itoa(m.exit), ""
	if m.warning {
		code += " (warning)"
	}
	if m.claim != "" {
		claim = reference.Code(m.claim)
	}
	return []string{m.name, m.words, m.fix, code, claim}
}

// TestAccidentsReference compares the accidents with their page.
func TestAccidentsReference(t *testing.T) {
	var text strings.Builder
	for _, a := range accidents {
		line := fmt.Sprintf("- **%s** The message has “%s”. %s.", sentence(a.name), a.said, strings.TrimSuffix(sentence(a.do), "."))
		text.WriteString(reference.Wrap(line, "  ") + "\n")
	}
	reference.Check(t, "docs/diagnosis.md", "accidents", text.String())
}

// sentence returns the text with a capital and a full stop.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

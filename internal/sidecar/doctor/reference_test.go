package doctor

import (
	"testing"

	"skr/test/reference"
)

// TestChecksReference compares the checks with their page.
func TestChecksReference(t *testing.T) {
	var rows [][]string
	for _, check := range reference.Constants(t, "step.go", "") {
		if check.Comment == "" {
			t.Errorf("%s has no comment", check.Value)
		}
		rows = append(rows, []string{reference.Code(check.Value), check.Comment})
	}
	reference.Check(t, "docs/reference/codes.md", "checks", reference.Table([]string{"check", "what it looks at"}, rows))
}

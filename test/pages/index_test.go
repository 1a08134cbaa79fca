package pages

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestIndex checks that the index lists each page once, and that each page begins with its readers.
func TestIndex(t *testing.T) {
	all := documents(t)
	for name, text := range all {
		page, is := strings.CutPrefix(name, "docs/")
		if !is || strings.HasPrefix(page, "decisions/") {
			continue
		}
		if listed := strings.Count(all["docs/README.md"], "]("+page+")"); listed != 1 && page != "README.md" {
			t.Errorf("docs/README.md lists %s %d times", page, listed)
		}
		if lines := strings.SplitN(text, "\n", 4); len(lines) < 4 || !strings.HasPrefix(lines[2], "For ") {
			t.Errorf("%s does not say for whom it is in its first sentence", name)
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	if lines := strings.Count(documents(t)["README.md"], "\n"); lines > 80 {
		t.Errorf("the README has %d lines", lines)
	}
}

// TestNamedTests checks that the tests named in documents exist.
func TestNamedTests(t *testing.T) {
	names := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(documents(t)["docs/threat-model.md"], -1)
	if len(names) == 0 {
		t.Fatal("no test is named")
	}
	for _, name := range names {
		if err := exec.CommandContext(t.Context(), "grep", "-rq", "--include=*_test.go", "func "+name, root).Run(); err != nil {
			t.Errorf("docs/threat-model.md names %s, which does not exist", name)
		}
	}
}

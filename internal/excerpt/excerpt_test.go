package excerpt

import (
	"strings"
	"testing"
)

func TestExcerpts(t *testing.T) {
	long := strings.Repeat("é", maxShown)
	for text, want := range map[string][3]string{ // results of Of, Quote and Word
		"":               {``, `""`, `""`},
		"sevsnpvm":       {`sevsnpvm`, `"sevsnpvm"`, `sevsnpvm`},
		"two words":      {`two words`, `"two words"`, `"two words"`},
		"tab\there":      {"tab\ufffdhere", "\"tab\ufffdhere\"", "\"tab\ufffdhere\""},
		`a"b`:            {`a"b`, `"a"b"`, `"a"b"`},
		"a\x1b[31m\nb":   {"a\ufffd[31m\ufffdb", "\"a\ufffd[31m\ufffdb\"", "a\ufffd[31m\ufffdb"},
		long:             {long, `"` + long + `"`, long},
		long + "x":       {long + "…", `"` + long + `…"`, long + "…"},
		"a\u202eb\u00a0": {"a\ufffdb\ufffd", "\"a\ufffdb\ufffd\"", "a\ufffdb\ufffd"},
	} {
		if got := [3]string{Of(text), Quote(text), Word(text)}; got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
}

package claims

import (
	"slices"
	"strings"
	"sync"
)

// maxName bounds the names that are compared. The longest claim has 80 bytes.
const maxName = 200

// families are beginnings that many names share.
var families = []string{"x-ms-sevsnpvm-", "x-ms-azurevm-", "x-ms-"}

// Nearest returns the claim that a misspelt path may mean, among those of the given platforms,
// or among all without a platform. The path may differ in capitals, hyphens or letters, or
// have the right name at the wrong depth. Nearest never returns path itself.
func Nearest(path string, platforms ...Platform) (string, bool) {
	if len(path) > maxName {
		return "", false
	}
	wanted := stem(path)
	best, found := match{apart: len(wanted)/3 + 1}, false
	for i, c := range catalogue {
		if c.Name == path || len(platforms) > 0 && !slices.ContainsFunc(platforms, c.On) {
			continue
		}
		m := match{name: c.Name, apart: distance(wanted, stems()[i])}
		if m.apart >= best.apart && (!found || m.apart > best.apart) {
			continue
		}
		m.spelling = distance(strings.ToLower(path), strings.ToLower(c.Name))
		if !found || m.before(best) {
			best, found = m, true
		}
	}
	return best.name, found
}

// match has the distances of a claim from the path.
type match struct {
	name            string
	apart, spelling int
}

func (m match) before(other match) bool {
	return m.apart < other.apart || m.apart == other.apart && m.spelling < other.spelling
}

var stems = sync.OnceValue(func() []string {
	all := make([]string, len(catalogue))
	for i, c := range catalogue {
		all[i] = stem(c.Name)
	}
	return all
})

// stem returns what tells a claim from others of its family: its last part without the
// family's beginning, capitals and separators.
func stem(path string) string {
	last := strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
	last = strings.ReplaceAll(last, "_", "-")
	for _, family := range families {
		if rest, cut := strings.CutPrefix(last, family); cut && rest != "" {
			last = rest
			break
		}
	}
	return strings.ReplaceAll(last, "-", "")
}

// distance returns the number of bytes to insert, remove or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

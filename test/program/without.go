package program

import (
	"slices"
	"strings"
)

// Unassigned returns env without the variables whose last assignment is empty, as if a
// manifest did not contain them.
func Unassigned(env []string) []string {
	last := map[string]string{}
	for _, assignment := range env {
		name, value, _ := strings.Cut(assignment, "=")
		last[name] = value
	}
	return slices.DeleteFunc(slices.Clone(env), func(assignment string) bool {
		name, _, _ := strings.Cut(assignment, "=")
		return last[name] == ""
	})
}

package execpolicy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Change is a container or an import that only one of two policies has. The other text is
// empty.
type Change struct {
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff compares what two policies admit: their containers and imports, not their order.
func Diff(before, after *Policy) (all []Change) {
	for _, kind := range []struct{ old, now []string }{
		{containerTexts(before.Containers), containerTexts(after.Containers)},
		{importTexts(before.Imports), importTexts(after.Imports)},
	} {
		for _, text := range missing(kind.old, kind.now) {
			all = append(all, Change{Before: text})
		}
		for _, text := range missing(kind.now, kind.old) {
			all = append(all, Change{After: text})
		}
	}
	return all
}

// missing returns the texts of all that others lack, as often as they lack them.
func missing(all, others []string) (lacking []string) {
	rest := slices.Clone(others)
	for _, text := range all {
		if at := slices.Index(rest, text); at >= 0 {
			rest = slices.Delete(rest, at, at+1)
			continue
		}
		lacking = append(lacking, text)
	}
	return lacking
}

func containerTexts(all []Container) []string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = c.String() + " as " + c.text()
	}
	return texts
}

func importTexts(all []Import) []string {
	texts := make([]string, len(all))
	for i, rule := range all {
		texts[i] = rule.String() + " as issuer " + shorten(rule.Issuer)
	}
	return texts
}

// String names a container for people.
func (c Container) String() string {
	text := "container " + strconv.Quote(shorten(c.Name))
	if c.ID != "" {
		text += " of " + shorten(c.ID)
	}
	return text
}

// text is the whole container, so that any difference counts.
func (c Container) text() string {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Sprintf("%v", err) // strings, numbers and booleans always encode
	}
	return string(text)
}

// Avoidable finds containers because of which the policy changed although a fragment could
// carry them: both policies list a container of the same image repository, and the two differ.
func Avoidable(before, after *Policy) (all []Finding) {
	old := containerTexts(before.Containers)
	var told []string
	for _, c := range after.Containers {
		repository := Repository(c.ID)
		same := func(o Container) bool { return Repository(o.ID) == repository }
		known := slices.Contains(old, c.String()+" as "+c.text()) || slices.Contains(told, repository)
		if repository == "" || known || !slices.ContainsFunc(before.Containers, same) {
			continue
		}
		told = append(told, repository)
		all = append(all, Finding{"hash-changed", fmt.Sprintf(
			"the hash changes with the container %q of %s; import a fragment for this feed in place of the container, "+
				"and the hash stays the same from then on", shorten(c.Name), shorten(repository))})
	}
	return all
}

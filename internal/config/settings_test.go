package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"skr/test/reference"
)

const settingsPage = "docs/reference/settings.md"

// TestSettingsReference compares the settings, by their groups in help, with their page.
func TestSettingsReference(t *testing.T) {
	defaults := new(Settings).Flags()
	var page strings.Builder
	for _, group := range append(slices.Clone(AllGroups), Logging) {
		var rows [][]string
		for _, row := range table() {
			if row.group == group {
				flag := defaults.Lookup(row.name)
				rows = append(rows, []string{reference.Code(FieldName(row.name)), shownDefault(flag), row.usage})
			}
		}
		if len(rows) == 0 {
			t.Errorf("the group %q has no setting", group)
		}
		title := group
		if group == Logging {
			title = "Log"
		}
		fmt.Fprintf(&page, "## %s\n\n%s\n", title, reference.Table([]string{"field", "default", "meaning"}, rows))
	}
	reference.Check(t, settingsPage, "settings", page.String())
}

// shownDefault returns the default for the table. Long lists of hosts have a table of their own.
func shownDefault(flag *pflag.Flag) string {
	switch {
	case flag.DefValue == "":
		return ""
	case strings.HasPrefix(flag.DefValue, "*."):
		return "[hosts](#default-hosts)"
	}
	return reference.Code(strings.Split(flag.DefValue, ",")...)
}

func TestHostsReference(t *testing.T) {
	var rows [][]string
	new(Settings).Flags().VisitAll(func(flag *pflag.Flag) {
		for host := range strings.SplitSeq(flag.DefValue, ",") {
			if strings.HasPrefix(host, "*.") {
				rows = append(rows, []string{reference.Code(FieldName(flag.Name)), reference.Code(host)})
			}
		}
	})
	reference.Check(t, settingsPage, "hosts", reference.Table([]string{"field", "default"}, rows))
}

// TestMembersReference compares the members of the sections with their page.
func TestMembersReference(t *testing.T) {
	for _, section := range []struct {
		part, file string
		types      []string
	}{
		{"keys", "alias.go", []string{"Alias"}},
		{"access", "accessrule.go", []string{"AccessRule"}},
		{"coco", "coco.go", []string{"CoCo", "CoCoResource"}},
		{"sinks", "sink.go", []string{"Sink"}},
	} {
		var tables []string
		for _, name := range section.types {
			tables = append(tables, reference.Table([]string{"member", "meaning"}, reference.Members(t, section.file, name)))
		}
		reference.Check(t, settingsPage, section.part, strings.Join(tables, "\n"))
	}
}

// TestVariablesReference compares the variables that libraries read with their page.
func TestVariablesReference(t *testing.T) {
	var rows [][]string
	for _, f := range Foreigners {
		does := "libraries read it"
		switch {
		case f.Steers:
			does = "hides it, except from skrctl"
		case f.Desk:
			does = "only skrctl reads it"
		}
		rows = append(rows, []string{reference.Code(f.Name), f.Meaning, does})
	}
	reference.Check(t, settingsPage, "variables", reference.Table([]string{"variable", "meaning", "what skr does"}, rows))
}

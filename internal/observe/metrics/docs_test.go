package metrics

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"skr/internal/observe/journal"
)

// documented returns each metric at least once.
func documented() *Metrics {
	m := New(some)
	m.Finished(release("ok"))
	m.Released("released", "ok")
	m.Used("decrypt", "ok", 1, time.Millisecond)
	m.Unmet("x-ms-sevsnpvm-hostdata")
	m.Asked("maa", "2xx", time.Second)
	now := func() (time.Time, time.Time) { return time.Now(), time.Now() }
	m.Watch(State{
		Ready: func() bool { return true }, Load: func() (int, int) { return 0, 0 }, Certificates: now, Token: now,
		OpenCircuits: func() map[string]int { return map[string]int{"maa": 0} }, SecretMemory: func() string { return "none" },
		Connections: map[string]func() (int, uint64){"http": func() (int, uint64) { return 1, 1 }}, Withheld: func() uint64 { return 1 },
	})
	return m
}

// The table of docs/observability.md has what Prometheus scrapes.
func TestDocumentedMetrics(t *testing.T) {
	var want strings.Builder
	want.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, family := range families(t, documented()) {
		if name := family.GetName(); strings.HasPrefix(name, "skr_") {
			fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(family.GetType().String()), labels(family), family.GetHelp())
		}
	}
	inDocument(t, want.String())
}

func TestDocumentedLabels(t *testing.T) {
	var want strings.Builder
	want.WriteString("| label | values |\n|---|---|\n")
	for _, row := range []struct {
		label  string
		values words
	}{
		{"`cache`", caches},
		{"`operation`", operations},
		{"`outcome`", outcomes},
		{"`protection`", protections},
		{"`result` of a lookup", list(journal.Lookup{Hit: true}.Result(), journal.Lookup{}.Result(), journal.Lookup{Stale: true}.Result())},
		{"`result` of a release", results},
		{"`stage`", stages},
	} {
		fmt.Fprintf(&want, "| %s | `%s` |\n", row.label, strings.Join(slices.Sorted(maps.Keys(row.values)), "` `"))
	}
	inDocument(t, want.String())
}

func inDocument(t *testing.T, table string) {
	t.Helper()
	document, err := os.ReadFile("../../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), table) {
		t.Errorf("docs/observability.md must hold this table:\n%s", table)
	}
}

func labels(family *dto.MetricFamily) string {
	var names []string
	for _, label := range family.GetMetric()[0].GetLabel() {
		names = append(names, "`"+label.GetName()+"`")
	}
	return strings.Join(names, " ")
}

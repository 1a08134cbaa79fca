package check_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/internal/check"
	"skr/internal/refusal"
)

var format = check.Format{
	Words: map[check.Outcome]string{
		check.OK: "ok", check.Note: "note", check.Warning: "warning", check.Failed: "failed", check.Skipped: "skipped",
	},
	Name: "name", Subject: "subject", Outcome: "outcome", Found: "found", Fix: "fix", Details: "details",
}

var results = []check.Result{
	{Name: "clock", Outcome: check.OK, Found: "agrees"},
	{Name: "svn", Outcome: check.Note, Found: "more could be demanded", Line: 3, Column: 7},
	{Name: "lists", Outcome: check.Warning, Found: "not set", Fix: "set them"},
	{
		Name: "key", Subject: "orders", Outcome: check.Failed, Found: "no such key\x1b[2J", Fix: "create it <here>",
		Err: refusal.Because(refusal.KeyNotFound, "no such key", errors.New("status 404")),
	},
	{Name: "release", Subject: "orders", Outcome: check.Skipped, Found: "key did not succeed"},
}

func written(t *testing.T, r check.Report, style check.Style) string {
	t.Helper()
	var out strings.Builder
	if err := r.Write(&out, style); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Columns align, a failure is visible without colour, and no output moves a terminal's cursor.
func TestText(t *testing.T) {
	report := check.Report{Format: format, Heading: "machine", File: "policy.json", Results: results, Closing: "that is all"}
	want := `machine
  ok       clock                 agrees
  note     policy.json:3:7: svn  more could be demanded
  warning  lists                 not set
           fix: set them
  FAILED   key (orders)          no such key\x1b[2J
           fix: create it <here>
           details: ` + results[3].Err.Error() + `
  skipped  release (orders)      key did not succeed
that is all
`
	plain := written(t, report, check.Plain)
	if diff := cmp.Diff(want, plain); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	coloured := written(t, report, check.Coloured)
	if n := strings.Count(coloured, "\x1b["); n != 2*len(results) {
		t.Errorf("%d colour sequences, want %d: %q", n, 2*len(results), coloured)
	}
	for _, sequence := range []string{"\x1b[30;42m", "\x1b[30;46m", "\x1b[30;103m", "\x1b[1;97;41m", "\x1b[30;47m", "\x1b[0m"} {
		coloured = strings.ReplaceAll(coloured, sequence, "")
	}
	if coloured != plain {
		t.Errorf("with colour the text is another:\n%s", coloured)
	}
}

// Members have the names and the order of the format. Empty members are left out.
func TestJSON(t *testing.T) {
	document := struct {
		Checks []check.Row `json:"checks"`
	}{format.Rows(results[3:])}
	got := written(t, check.Report{Format: format, Document: document}, check.JSON)
	want := `{"checks":[{"name":"key","subject":"orders","outcome":"failed","found":"no such key\u001b[2J","fix":"create it <here>",` +
		`"details":"` + results[3].Err.Error() + `"},{"name":"release","subject":"orders","outcome":"skipped","found":"key did not succeed"}]}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	places := check.Format{Words: format.Words, Name: "rule", Outcome: "severity", Places: true, Found: "message", Indent: true}
	got = written(t, check.Report{Format: places, Document: places.Rows(results[1:2])}, check.JSON)
	want = `[
  {
    "rule": "svn",
    "severity": "note",
    "line": 3,
    "column": 7,
    "message": "more could be demanded"
  }
]
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := json.Marshal(check.Format{}.Rows(results[:1])); err != nil || string(got) != "[{}]" {
		t.Errorf("without names: %s, %v", got, err)
	}
}

// Without a member for details, the text of a cause is left out: it may be only for operators.
func TestDetailsStayOut(t *testing.T) {
	quiet := format
	quiet.Details = ""
	report := check.Report{Format: quiet, Results: results, Document: quiet.Rows(results)}
	for _, style := range []check.Style{check.Plain, check.JSON} {
		if got := written(t, report, style); strings.Contains(got, "404") || strings.Contains(got, "details") {
			t.Errorf("style %d: %s", style, got)
		}
	}
}

func TestFailure(t *testing.T) {
	first := check.FirstFailure(results)
	if first == nil || first.Name != "key" || first.RefusedBy() != refusal.KeyNotFound || results[0].RefusedBy() != nil {
		t.Errorf("got %+v", first)
	}
	if check.FirstFailure(results[:3]) != nil || check.Count(results, check.Warning) != 1 || check.Count(nil, check.OK) != 0 {
		t.Error("counted wrongly")
	}
}

func ExampleReport() {
	report := check.Report{Format: format, Results: results[2:3]}
	_ = report.Write(os.Stdout, check.Plain) // writes to standard output never fail
	// Output:
	//   warning  lists  not set
	//            fix: set them
}

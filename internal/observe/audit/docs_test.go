package audit

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// The recipe of docs/audit.md agrees with Verify.
func TestDocumentedRecipe(t *testing.T) {
	for _, tool := range []string{"sh", "sha256sum", "cut"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	_, recipe, _ := strings.Cut(string(contents(t, "../../../docs/audit.md")), "```sh\n")
	recipe, _, _ = strings.Cut(recipe, "```")
	path := newPath(t)
	l := begin(t, path)
	hostile := refused
	hostile.Caller = `\n","hash":"\x` + "`$(id)*"
	record(t, l, entry, hostile)
	good := contents(t, path)
	for want, text := range map[string][]byte{
		"3 records, intact, head " + l.Head(): good,
		"line 1 is broken":                    good[1:],
		"line 2 is broken":                    bytes.Replace(good, []byte("kafka"), []byte("other"), 1),
		"line 3 is broken":                    bytes.Replace(good, []byte("release_rejected"), []byte("released"), 1),
	} {
		run := exec.CommandContext(t.Context(), "sh", "-c", recipe)
		run.Stdin = bytes.NewReader(text)
		out, err := run.Output()
		if strings.TrimSpace(string(out)) != want || (err == nil) != bytes.Equal(text, good) {
			t.Errorf("the recipe prints %q, %v; want %s", out, err, want)
		}
	}
}

// The table of docs/audit.md has the members in order.
func TestDocumentedMembers(t *testing.T) {
	_, table, _ := strings.Cut(string(contents(t, "../../../docs/audit.md")), "## Format")
	for _, r := range []Record{
		{Kind: kindRecovered, Version: "v", Torn: &Torn{}},
		{Kind: kindRelease, Entry: &Entry{}},
		{Kind: kindWithheld, Withheld: &Withheld{1}},
	} {
		line, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		rest := table
		for part := range strings.SplitSeq(string(line), `":`) {
			name := part[strings.LastIndexByte(part, '"')+1:]
			if strings.ContainsAny(name, "}\n") {
				continue // after the last value
			}
			at := strings.Index(rest, "`"+name+"`")
			if at < 0 {
				t.Fatalf("%s is missing from the table or out of order", name)
			}
			rest = rest[at:]
		}
	}
}

package azuresdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/emulator.md")

// row is what a client prints for a call.
type row struct{ Client, Call, Version, Result string }

// parseRows returns the rows of a client, which makes at least so many calls.
func parseRows(t *testing.T, output []byte, least int) (rows []row) {
	t.Helper()
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var r row
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, output)
		}
		rows = append(rows, r)
	}
	if len(rows) < least {
		t.Fatalf("only %d calls were made:\n%s", len(rows), output)
	}
	return rows
}

// checkRows compares the results with those of the calls that do not succeed, by client and call. All
// others must succeed.
func checkRows(t *testing.T, rows []row, notServed map[string]string) {
	t.Helper()
	met := make(map[string]bool)
	for _, r := range rows {
		name := r.Client + ": " + r.Call
		want, known := notServed[name]
		if !known {
			want = "ok"
		}
		met[name] = true
		if r.Result != want {
			t.Errorf("%s: %s, want %s", name, r.Result, want)
		}
	}
	for name := range notServed {
		if !met[name] {
			t.Errorf("%s: the client does not make this call", name)
		}
	}
}

const (
	document = "../../docs/emulator.md"
	head     = "| client | call | api-version | result |\n|---|---|---|---|\n"
)

// writing admits one test at a time to the document.
var writing sync.Mutex

// compare compares the table below a heading of the document with the rows.
func compare(t *testing.T, heading string, rows []row) {
	t.Helper()
	writing.Lock()
	defer writing.Unlock()
	var table strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", r.Client, r.Call, r.Version, r.Result)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	section := strings.Index(string(text), "\n### "+heading+"\n")
	if section < 0 {
		t.Fatalf("%s has no section %q", document, heading)
	}
	before, rest, found := strings.Cut(string(text[section:]), head)
	if !found {
		t.Fatalf("%s has no table of calls in section %q", document, heading)
	}
	end := 0 // of the table, which the first line without a column ends
	for end < len(rest) && rest[end] == '|' {
		end += strings.IndexByte(rest[end:], '\n') + 1
	}
	if *update {
		if err := os.WriteFile(document, []byte(string(text[:section])+before+head+table.String()+rest[end:]), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if rest[:end] != table.String() {
		t.Errorf("section %q of %s differs; run go test ./test/azuresdk -args -update", heading, document)
	}
}

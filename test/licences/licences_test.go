package licences

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

var update = flag.Bool("update", false, "write docs/licences.md")

const document = "../../docs/licences.md"

// allowed are the licences (SPDX) under which the programs may link code. MPL-2.0 asks to offer
// the source of its files, which the document therefore names.
var allowed = map[string]bool{
	"MIT": true, "ISC": true, "BSD-2-Clause": true, "BSD-2-Clause-Views": true, "BSD-3-Clause": true,
	"Apache-2.0": true, "MPL-2.0": true,
}

var programs = []string{"skr", "skrctl", "skr-emulator"}

type module struct {
	path, licence string
	programs      []string
}

// modulesOf returns the directory of each module that the program links.
func modulesOf(t *testing.T, program string) map[string]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-tags", "grpcnotrace", "-deps", "-json=Module", "./cmd/"+program)
	list.Dir = "../.."
	text, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var row struct {
			Module struct {
				Path, Dir string
				Main      bool
			}
		}
		if err := decoder.Decode(&row); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if row.Module.Path != "" && !row.Module.Main {
			found[row.Module.Path] = row.Module.Dir
		}
	}
}

// licenceOf recognises the licence files of a module's root. LICENSE.docs is for texts, which are
// not linked.
func licenceOf(dir string) (string, error) {
	found := map[string]bool{}
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "License*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil || filepath.Ext(file) == ".docs" {
				continue // a directory, or for texts
			}
			for _, match := range licensecheck.Scan(text).Match {
				if !match.IsURL {
					found[match.ID] = true
				}
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), " and "), nil
}

func linked(t *testing.T) []module {
	t.Helper()
	found := map[string]*module{}
	for _, program := range programs {
		for path, dir := range modulesOf(t, program) {
			if found[path] == nil {
				licence, err := licenceOf(dir)
				if err != nil {
					t.Fatal(err)
				}
				found[path] = &module{path: path, licence: licence}
			}
			found[path].programs = append(found[path].programs, program)
		}
	}
	modules := make([]module, 0, len(found))
	for _, path := range slices.Sorted(maps.Keys(found)) {
		modules = append(modules, *found[path])
	}
	return modules
}

// TestLicences checks that each linked module has a licence that allows it, and that the
// document lists it.
func TestLicences(t *testing.T) {
	modules := linked(t)
	if len(modules) < 30 {
		t.Fatalf("only %d modules are linked", len(modules))
	}
	var table strings.Builder
	for _, m := range modules {
		for id := range strings.SplitSeq(m.licence, " and ") {
			if !allowed[id] {
				t.Errorf("%s has the licence %q, which is not in the list", m.path, id)
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", m.path, m.licence, strings.Join(m.programs, ", "))
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	const head = "|---|---|---|\n"
	before, old, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("%s has no table", document)
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+head+table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if old != table.String() {
		t.Errorf("%s differs; run go test ./test/licences -args -update. It should be:\n%s", document, table.String())
	}
}

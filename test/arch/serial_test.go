package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// starters are names of functions that start goroutines, and of tests that run at once.
var starters = []string{"Go", "AfterFunc", "Parallel", "ListenAndServe", "Serve", "NewServer", "NewTLSServer", "NewUnstartedServer"}

// servers are packages that start goroutines for their users.
var servers = []string{"oras.land/oras-go/v2", "skr/internal/singleflight", "skr/test/ocitest", "skr/test/emulator", "skr/test/program", "skr/test/swtpm", "testing/synctest"}

// TestSerial: no package that `make race` leaves out starts a goroutine, in its code or in
// its tests.
func TestSerial(t *testing.T) {
	for _, dir := range listed(t, "SERIAL") {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("SERIAL in the Makefile lists %s, which is not a package: %v", dir, err)
		}
		for _, file := range files {
			if what := concurrent(t, file); what != "" {
				t.Errorf("%s has %s: remove %s from SERIAL in the Makefile", file, what, dir)
			}
		}
	}
}

// TestConcurrent: `make race-short` has each package of the product whose code starts goroutines or
// has locks.
func TestConcurrent(t *testing.T) {
	have := listed(t, "CONCURRENT")
	var want []string
	for _, p := range list(t, "skr/...") {
		dir := strings.TrimPrefix(p.ImportPath, "skr/")
		if strings.HasPrefix(dir, "test/") || strings.HasPrefix(dir, "examples/") || dir == "cmd/skr-emulator" {
			continue
		}
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(files, func(file string) bool {
			return !strings.HasSuffix(file, "_test.go") && !strings.HasSuffix(file, ".pb.go") &&
				(concurrent(t, file) != "" || locks(t, file))
		}) {
			want = append(want, dir)
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("CONCURRENT in the Makefile is\n%q, want\n%q", have, want)
	}
}

// listed returns the words of a variable of the Makefile.
func listed(t *testing.T, name string) []string {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)\n` + name + ` := (.*?[^\\])\n`).FindSubmatch(makefile)
	if found == nil {
		t.Fatal("the Makefile has no " + name)
	}
	return strings.Fields(strings.ReplaceAll(string(found[1]), `\`, ""))
}

// TestConcurrentIsFound: the search finds what it is for.
func TestConcurrentIsFound(t *testing.T) {
	for text, want := range map[string]string{
		"func f() { go f() }":                    "a go statement",
		"func f() { group.Go(f) }":               "a call of Go",
		"func f() { time.AfterFunc(0, f) }":      "a call of AfterFunc",
		`import _ "skr/internal/singleflight"`:   "skr/internal/singleflight",
		"func f() { http.Serve(nil, nil); f() }": "a call of Serve",
		"func f() { defer f() }":                 "",
	} {
		path := filepath.Join(t.TempDir(), "x.go")
		if err := os.WriteFile(path, []byte("package x\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := concurrent(t, path); got != want {
			t.Errorf("%s: got %q", text, got)
		}
	}
}

// concurrent returns what starts goroutines in a file, or "".
func concurrent(t *testing.T, path string) (what string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		if name := strings.Trim(spec.Path.Value, `"`); slices.Contains(servers, name) {
			return name
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.SelectorExpr:
			if slices.Contains(starters, n.Sel.Name) {
				what = "a call of " + n.Sel.Name
			}
		}
		return what == ""
	})
	return what
}

// locks reports whether a file uses what goroutines synchronise with.
func locks(t *testing.T, path string) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool {
		return spec.Path.Value == `"sync"` || spec.Path.Value == `"sync/atomic"`
	})
}

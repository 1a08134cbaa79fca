package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// importable lists the packages that other modules may import. Their exported signatures
// must not contain types of skr/internal, which another module cannot name.
var importable = []string{"api", "attest/snp", "attest/tdx", "attest/vcek", "attest/uvm", "attest/vtpm", "attest/maa", "releasepolicy"}

func TestExportedSignaturesHoldNoInternalType(t *testing.T) {
	paths := importablePaths(t)
	compiled := exportData(t, paths)
	for _, path := range paths {
		p, err := compiled.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Scope().Names()) == 0 {
			t.Errorf("%s: no exported names found", path)
		}
		for _, leak := range leaks(p) {
			t.Errorf("%s: another module cannot use %s", path, leak)
		}
	}
}

// Each way in which a type can appear in an exported signature is found, and nothing else.
func TestLeaksAreFound(t *testing.T) {
	hidden := check(t, nil, "skr/internal/hidden", `package hidden
		type T struct{ N int }
		type G[E any] struct{ E E }
		type I interface{ M() }`)
	p := check(t, hidden, "skr/open", `package open
		import "skr/internal/hidden"
		type Alias = hidden.T
		type Embeds struct{ *hidden.T }
		type Field struct{ F []hidden.T; kept hidden.T }
		type Interface interface { M(map[string]hidden.T); kept(hidden.T) }
		type Named hidden.T
		type Methods struct{}
		func (Methods) Value() chan hidden.T { return nil }
		func (Methods) kept() hidden.T { return hidden.T{} }
		type Generic[E hidden.I] struct{ e E }
		type Promotes struct { base }
		type base struct{}
		func (base) Promoted(...hidden.T) {}
		type Own struct{ N int; err error }
		func Parameter(func(hidden.G[int])) {}
		func Argument() []box[hidden.T] { return nil }
		func Constrained[E hidden.I](E) {}
		type box[E any] struct{ e E }
		var Variable [2]hidden.T
		const Constant = 1
		var kept hidden.T
		func open(hidden.T) {}
	`)
	var got []string
	for _, leak := range leaks(p) {
		name, _, _ := strings.Cut(leak, ":")
		got = append(got, name)
	}
	want := []string{
		"Alias", "Argument", "Constrained", "Embeds.T", "Field.F", "Generic", "Interface.M", "Methods.Value", "Parameter",
		"Promotes.base.Promoted", "Variable",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func importablePaths(t *testing.T) (paths []string) {
	t.Helper()
	for _, name := range importable {
		if _, err := os.Stat("../../" + name); name != "releasepolicy" || err == nil {
			paths = append(paths, module+name)
		}
	}
	return paths
}

// exportData holds the compiler's data about the packages and all their imports.
func exportData(t *testing.T, paths []string) types.Importer {
	t.Helper()
	open(t)
	args := append([]string{"list", "-tags", "grpcnotrace", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}, paths...)
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
}

// importing returns the one package that a source of TestLeaksAreFound imports.
type importing struct{ p *types.Package }

func (i importing) Import(string) (*types.Package, error) { return i.p, nil }

func check(t *testing.T, imported *types.Package, path, source string) *types.Package {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: importing{imported}}
	p, err := config.Check(path, files, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// leaks returns the exported identifiers of p that have internal types in their signatures.
func leaks(p *types.Package) []string {
	w := walk{of: p, seen: map[types.Type]bool{}}
	for _, name := range p.Scope().Names() {
		if object := p.Scope().Lookup(name); object.Exported() {
			w.visit(name, object.Type())
		}
	}
	slices.Sort(w.found)
	return slices.Compact(w.found)
}

type walk struct {
	of    *types.Package
	seen  map[types.Type]bool // types of this package
	found []string
}

func (w *walk) visit(at string, t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		w.check(at, t.Obj())
		w.visit(at, t.Rhs())
	case *types.Named:
		w.named(at, t)
	case *types.Map:
		w.visit(at, t.Key())
		w.visit(at, t.Elem())
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		w.visit(at, t.Elem())
	case *types.Signature:
		w.parameters(at, t.TypeParams())
		w.tuple(at, t.Params())
		w.tuple(at, t.Results())
	case *types.Struct:
		for field := range t.Fields() {
			if field.Exported() || field.Embedded() {
				w.visit(at+"."+field.Name(), field.Type())
			}
		}
	case *types.Interface:
		w.iface(at, t)
	case *types.Union:
		for term := range t.Terms() {
			w.visit(at, term.Type())
		}
	}
}

// named inspects the types of this package. Types of other packages are only compared by name.
func (w *walk) named(at string, t *types.Named) {
	w.check(at, t.Obj())
	for argument := range t.TypeArgs().Types() {
		w.visit(at, argument)
	}
	if t = t.Origin(); t.Obj().Pkg() != w.of || w.seen[t] {
		return
	}
	w.seen[t] = true
	w.parameters(at, t.TypeParams())
	w.visit(at, t.Underlying())
	for method := range t.Methods() {
		if method.Exported() {
			w.visit(at+"."+method.Name(), method.Type())
		}
	}
}

func (w *walk) iface(at string, t *types.Interface) {
	for method := range t.Methods() {
		if method.Exported() {
			w.visit(at+"."+method.Name(), method.Type())
		}
	}
	for embedded := range t.EmbeddedTypes() {
		w.visit(at, embedded)
	}
}

func (w *walk) parameters(at string, list *types.TypeParamList) {
	for parameter := range list.TypeParams() {
		w.visit(at, parameter.Constraint())
	}
}

func (w *walk) tuple(at string, list *types.Tuple) {
	for variable := range list.Variables() {
		w.visit(at, variable.Type())
	}
}

func (w *walk) check(at string, name *types.TypeName) {
	if p := name.Pkg(); p != nil && strings.HasPrefix(p.Path(), module+"internal/") {
		w.found = append(w.found, fmt.Sprintf("%s: %s.%s", at, p.Path(), name.Name()))
	}
}

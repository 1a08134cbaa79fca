package reference

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// Constant is a constant with its comment.
type Constant struct{ Name, Value, Comment string }

// Constants returns the constants of a type in a file, in their order; with the type "", those
// without one. A comment stands above the constant or at the end of its line. The name at its
// beginning, as in "BadRequest: the request is …", is left out.
func Constants(t *testing.T, file, kind string) (all []Constant) {
	t.Helper()
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is || len(spec.Values) == 0 {
			return true
		}
		value, is := spec.Values[0].(*ast.BasicLit)
		if named, typed := spec.Type.(*ast.Ident); !is || typed && named.Name != kind || !typed && kind != "" {
			return true
		}
		text := value.Value
		if unquoted, err := strconv.Unquote(text); err == nil {
			text = unquoted
		}
		name := spec.Names[0].Name
		comment := strings.TrimPrefix(spec.Doc.Text()+spec.Comment.Text(), name+":")
		all = append(all, Constant{name, text, strings.Join(strings.Fields(comment), " ")})
		return true
	})
	if len(all) == 0 {
		t.Errorf("%s has no constant of type %q", file, kind)
	}
	return all
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// Members returns a row for each field of a struct in a file: its name in JSON, and its comment.
func Members(t *testing.T, file, name string) (rows [][]string) {
	t.Helper()
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, is := n.(*ast.TypeSpec)
		if !is || spec.Name.Name != name {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			member, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			comment := strings.Join(strings.Fields(field.Doc.Text()), " ")
			if comment == "" {
				t.Errorf("%s: %s.%s has no comment", file, name, field.Names[0].Name)
			}
			rows = append(rows, []string{Code(member), comment})
		}
		return false
	})
	if len(rows) == 0 {
		t.Errorf("%s has no struct %s", file, name)
	}
	return rows
}

package arch

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "skr/"

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// open reads the files that `go list` will read: the test cache tracks only files that the
// test itself opens.
func open(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !entry.IsDir() {
			_, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	open(t)
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-tags", "grpcnotrace", "-json=ImportPath,Imports,Deps"}, args...)...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImports(t *testing.T) {
	for _, p := range list(t, "skr/...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "examples/") {
			continue // they assemble the program or emulate the cloud
		}
		may, known := allowed[name]
		if !known {
			t.Errorf("%s is not in the table of allowed imports", name)
		}
		for _, imported := range p.Imports {
			if ours, is := strings.CutPrefix(imported, module); is && !slices.Contains(may, ours) {
				t.Errorf("%s must not import %s", name, ours)
			}
		}
	}
}

// The operator's packages are not linked into the sidecar and do not import its packages.
func TestWings(t *testing.T) {
	for _, wing := range []struct{ own, other string }{{"skr/internal/operator/", "skr/internal/sidecar/"}, {"skr/internal/sidecar/", "skr/internal/operator/"}} {
		found := list(t, wing.own+"...")
		if len(found) < 3 {
			t.Fatalf("go list found %d packages below %s", len(found), wing.own)
		}
		for _, p := range found {
			for _, dep := range p.Deps {
				if strings.HasPrefix(dep, wing.other) {
					t.Errorf("%s reaches %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// The product contains no emulation and no test support.
func TestProductReachesNoTest(t *testing.T) {
	product := list(t, "skr/cmd/skr")
	if len(product) != 1 || !slices.Contains(product[0].Deps, "skr/keyrelease") {
		t.Fatal("go list did not list the dependencies of cmd/skr")
	}
	product = append(product, list(t, "skr/cmd/skrctl")...)
	forbidden := []string{"skr/test/", "testing", "net/http/httptest", "github.com/google/go-sev-guest/testing", "html/template"}
	for _, p := range product {
		for _, dep := range p.Deps {
			for _, bad := range forbidden {
				if dep == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(dep, bad) || strings.HasPrefix(dep, bad+"/") {
					t.Errorf("%s reaches %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// Neither program links the other's packages, and the operator's packages do not import the sidecar's.
func TestTwoPrograms(t *testing.T) {
	for _, c := range []struct {
		packages  string
		forbidden []string
	}{
		// azidentity has the logins of people in its only package; MSAL's public package logs in with a browser.
		{"skr/cmd/skr", []string{
			"skr/internal/operator", "skr/cmd", "github.com/Azure/azure-sdk-for-go/sdk/azidentity", "github.com/pkg/browser",
			"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public",
			"github.com/open-policy-agent", "oras.land", "github.com/Microsoft/hcsshim", "github.com/opencontainers",
			"github.com/getkin",
		}},
		{"skr/cmd/skrctl", []string{
			"skr/internal/sidecar", "skr/keyrelease", "skr/test", "skr/internal/observe/metrics", "skr/internal/observe/tracing",
			"github.com/prometheus", "google.golang.org/grpc", "go.opentelemetry.io",
		}},
		{"skr/internal/operator/...", []string{"skr/internal/sidecar"}},
	} {
		listed := list(t, c.packages)
		if len(listed) == 0 {
			t.Fatalf("go list listed nothing for %s", c.packages)
		}
		for _, p := range listed {
			for _, dep := range p.Deps {
				for _, bad := range c.forbidden {
					if dep == bad || strings.HasPrefix(dep, bad+"/") {
						t.Errorf("%s reaches %s", p.ImportPath, dep)
					}
				}
			}
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, p := range list(t, "skr/...") {
		switch name := path.Base(p.ImportPath); name {
		case "util", "utils", "common", "helpers", "helper", "types", "pkg", "misc", "base":
			t.Errorf("%s: the name does not describe its content", p.ImportPath)
		}
	}
}

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

// allowed lists, for each package, the packages of ours that it may import. A
// package that is missing may import none.
var allowed = map[string][]string{
	"api":               {},
	"internal/jose/jwk": {"internal/strictjson"},
	"internal/secmem":   {},
	"attest/snp":        {},

	// Others evaluate policies with these two: they bring nothing of skr but foundations.
	"releasepolicy":        {"internal/excerpt", "internal/strictjson", "releasepolicy/claims"},
	"releasepolicy/claims": {},
	"internal/excerpt":     {},

	"internal/sidecar/agent":      {"attest/snp", "internal/crash", "internal/sidecar/serving", "internal/strictjson", "attest/tpm"},
	"internal/sidecar/access":     {"internal/cache", "internal/refusal", "internal/secmem"},
	"internal/sidecar/limit":      {"internal/cache", "internal/refusal"},
	"internal/cache":              {},
	"internal/check":              {"internal/refusal"},
	"internal/certificate":        {},
	"internal/observe/audit":      {"internal/cache", "internal/refusal"},
	"internal/crash":              {},
	"internal/hardening":  {},
	"internal/sidecar/holder":     {"internal/sidecar/serving"},
	"internal/operator/measure":   {"internal/operator/rego", "internal/textfile"},
	"internal/observe/journal":    {},
	"internal/observe/metrics":    {"internal/observe/journal"},
	"internal/sidecar/ops":        {"api", "internal/crash", "internal/refusal", "internal/sidecar/serving"},
	"internal/textfile":           {},
	"internal/observe/tracing":    {"internal/observe/journal"},
	"internal/operator/provision": {"hsm", "releasepolicy", "internal/jose/jwk", "internal/refusal", "internal/secmem"},
	"internal/refusal":            {},
	"internal/sbom":               {},
	"internal/sidecar/serving":    {"internal/cache"},
	"internal/sidecar/doctor": {
		"attest", "attest/snp", "attest/uvm", "attest/vtpm", "hsm", "keyrelease", "releasepolicy",
		"internal/check", "internal/crash", "internal/azure/httpclient", "internal/jose/jws", "internal/strictjson", "internal/refusal", "internal/secmem",
	},
	"internal/azure/endpoint":                   {"internal/secmem"},
	"internal/singleflight":                     {"internal/crash"},
	"internal/jose/keywrap":                     {},
	"attest/tpm":                                {"attest/vtpm", "internal/jose/keywrap"},
	"internal/sidecar/keyprovider":              {"internal/strictjson"},
	"internal/sidecar/keyproviderpb":            {},
	"internal/sidecar/keyproviderpb/ocicryptpb": {},
	"internal/strictjson":                       {},
	"internal/strictyaml":                       {"internal/strictjson"},
	"internal/jose/jws":                         {"internal/jose/jwk"},
	"internal/azure/httpclient":                 {"internal/cache", "internal/refusal"},

	"attest/uvm":  {"internal/certificate", "internal/strictjson"},
	"attest/vtpm": {"attest/snp", "internal/jose/jwk", "internal/strictjson"},
	"attest/vcek": {"attest/snp", "internal/certificate", "internal/crash", "internal/singleflight", "internal/observe/journal", "internal/strictjson", "internal/refusal"},
	"attest": {
		"attest/snp", "attest/vcek", "attest/uvm", "attest/vtpm",
		"internal/azure/endpoint", "internal/observe/journal", "internal/jose/keywrap", "internal/strictjson", "internal/refusal", "internal/secmem", "attest/tpm",
	},
	"attest/maa": {
		"attest", "attest/snp", "attest/vcek", "attest/uvm", "attest/vtpm",
		"internal/cache", "internal/crash", "internal/azure/endpoint", "internal/singleflight", "internal/jose/jwk", "internal/jose/jws", "internal/strictjson", "internal/refusal", "internal/secmem",
	},
	"hsm": {
		"internal/cache", "internal/certificate", "internal/crash", "internal/azure/endpoint", "internal/azure/httpclient", "internal/jose/jwk", "internal/jose/jws", "internal/jose/keywrap", "internal/strictjson", "internal/refusal", "internal/secmem",
		"internal/textfile", "releasepolicy",
	},
	"keyrelease": {
		"attest", "hsm", "releasepolicy", "releasepolicy/claims",
		"internal/cache", "internal/crash", "internal/singleflight", "internal/jose/jws", "internal/jose/keywrap", "internal/strictjson", "internal/refusal", "internal/secmem",
	},
	"internal/sidecar/parties": {"attest", "hsm", "keyrelease", "internal/observe/journal", "internal/secmem"},
	"internal/azure/entra":     {"internal/crash", "internal/singleflight", "internal/azure/httpclient", "internal/refusal", "internal/secmem"},
	"internal/operator/lint": {
		"attest", "attest/snp", "releasepolicy", "releasepolicy/claims", "internal/check", "internal/excerpt", "internal/strictyaml", "internal/azure/endpoint",
		"internal/jose/jws", "internal/strictjson", "internal/textfile",
	},
	"internal/sidecar/server": {
		"api", "attest", "attest/vtpm", "hsm", "keyrelease",
		"internal/sidecar/access", "internal/sidecar/limit", "internal/cache", "internal/crash", "internal/observe/journal", "internal/sidecar/keyprovider", "internal/sidecar/keyproviderpb", "internal/sidecar/keyproviderpb/ocicryptpb",
		"internal/sidecar/ops", "internal/refusal", "internal/secmem", "internal/sidecar/serving", "internal/strictjson",
	},

	"internal/operator/inspect": {
		"attest/snp", "attest/uvm", "attest/vcek", "attest/vtpm", "hsm", "releasepolicy", "releasepolicy/claims", "internal/check", "internal/jose/jwk", "internal/jose/jws",
		"internal/operator/lint", "internal/strictjson", "internal/textfile",
	},
	"internal/operator/verify": {
		"attest", "attest/maa", "attest/snp", "attest/vcek", "attest/vtpm", "hsm", "releasepolicy",
		"internal/azure/endpoint", "internal/check", "internal/operator/inspect", "internal/strictjson", "internal/strictyaml",
	},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// open reads what `go list` will read: the test cache knows only of files that
// the test itself opens.
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
			continue // they assemble, or stand in for the cloud
		}
		may, known := allowed[name]
		if !known {
			t.Errorf("%s: is not in the table of allowed imports", name)
		}
		for _, imported := range p.Imports {
			if ours, is := strings.CutPrefix(imported, module); is && !slices.Contains(may, ours) {
				t.Errorf("%s: must not import %s", name, ours)
			}
		}
	}
}

// What an operator runs is not linked into the sidecar, and knows nothing of it.
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

// The product holds no emulation and no test support.
func TestProductReachesNoTest(t *testing.T) {
	product := list(t, "skr/cmd/skr")
	if len(product) != 1 || !slices.Contains(product[0].Deps, "skr/keyrelease") {
		t.Fatal("go list did not tell what cmd/skr depends on")
	}
	forbidden := []string{"skr/test/", "testing", "net/http/httptest", "github.com/google/go-sev-guest/testing", "html/template"}
	for _, dep := range product[0].Deps {
		for _, bad := range forbidden {
			if dep == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(dep, bad) || strings.HasPrefix(dep, bad+"/") {
				t.Errorf("cmd/skr reaches %s", dep)
			}
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, p := range list(t, "skr/...") {
		switch name := path.Base(p.ImportPath); name {
		case "util", "utils", "common", "helpers", "helper", "types", "pkg", "misc", "base":
			t.Errorf("%s: the name says nothing about its content", p.ImportPath)
		}
	}
}

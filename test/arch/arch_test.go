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
	"api":             {},
	"internal/jwk":    {"internal/object"},
	"internal/secmem": {},
	"attest/snp":      {},

	"internal/agent":       {"attest/snp", "internal/crash", "internal/serving", "internal/tpm"},
	"internal/access":      {"internal/cache", "internal/refusal", "internal/secmem"},
	"internal/admission":   {"internal/refusal"},
	"internal/cache":       {},
	"internal/certificate": {},
	"internal/audit":       {"internal/refusal"},
	"internal/claims":      {},
	"internal/crash":       {},
	"internal/hardening":   {},
	"internal/holder":      {"internal/serving"},
	"internal/hostdata":    {"internal/rego", "internal/textfile"},
	"internal/journal":     {},
	"internal/metrics":     {"internal/journal"},
	"internal/ops":         {"internal/crash", "internal/readyz", "internal/serving"},
	"internal/rego":        {},
	"internal/textfile":    {},
	"internal/tracing":     {"internal/journal"},
	"internal/provision":   {"hsm", "internal/jwk", "internal/refusal", "internal/secmem"},
	"internal/readyz":      {"api", "internal/refusal"},
	"internal/refusal":     {},
	"internal/sbom":        {},
	"internal/serving":     {},
	"internal/doctor": {
		"attest", "attest/snp", "attest/uvm", "attest/vtpm", "hsm", "keyrelease",
		"internal/crash", "internal/httpclient", "internal/jws", "internal/object", "internal/refusal", "internal/secmem",
	},
	"internal/endpoint":                 {"internal/secmem"},
	"internal/flight":                   {"internal/crash"},
	"internal/keywrap":                  {},
	"internal/tpm":                      {"attest/vtpm", "internal/keywrap"},
	"internal/keyprovider":              {"internal/object"},
	"internal/keyproviderpb":            {},
	"internal/keyproviderpb/ocicryptpb": {},
	"internal/object":                   {},
	"internal/document":                 {"internal/object"},
	"internal/jws":                      {"internal/jwk"},
	"internal/httpclient":               {"internal/cache", "internal/refusal"},

	"attest/uvm":  {"internal/certificate", "internal/object"},
	"attest/vtpm": {"attest/snp", "internal/jwk", "internal/object"},
	"attest/vcek": {"attest/snp", "internal/certificate", "internal/crash", "internal/flight", "internal/httpclient", "internal/journal", "internal/object", "internal/refusal"},
	"attest": {
		"attest/snp", "attest/vcek", "attest/uvm", "attest/vtpm",
		"internal/endpoint", "internal/journal", "internal/keywrap", "internal/object", "internal/refusal", "internal/secmem", "internal/tpm",
	},
	"attest/maa": {
		"attest", "attest/snp", "attest/vcek", "attest/uvm", "attest/vtpm",
		"internal/cache", "internal/crash", "internal/endpoint", "internal/flight", "internal/httpclient", "internal/jwk", "internal/jws", "internal/object", "internal/refusal", "internal/secmem",
	},
	"hsm": {
		"internal/cache", "internal/certificate", "internal/crash", "internal/endpoint", "internal/httpclient", "internal/jwk", "internal/jws", "internal/keywrap", "internal/object", "internal/refusal", "internal/secmem",
		"internal/textfile",
	},
	"keyrelease": {
		"attest", "hsm",
		"internal/cache", "internal/claims", "internal/crash", "internal/flight", "internal/journal", "internal/jws", "internal/keywrap", "internal/object", "internal/refusal", "internal/secmem",
	},
	"internal/entra": {"internal/crash", "internal/flight", "internal/httpclient", "internal/refusal", "internal/secmem"},
	"internal/releasepolicy": {
		"attest", "attest/snp", "hsm", "internal/claims", "internal/document", "internal/endpoint", "internal/jws", "internal/object", "internal/textfile",
	},
	"internal/server": {
		"api", "attest", "attest/vtpm", "hsm", "keyrelease",
		"internal/access", "internal/admission", "internal/cache", "internal/crash", "internal/holder", "internal/journal", "internal/keyprovider", "internal/keyproviderpb", "internal/keyproviderpb/ocicryptpb",
		"internal/readyz", "internal/refusal", "internal/secmem", "internal/serving",
	},

	"internal/artefact": {
		"attest/snp", "attest/uvm", "attest/vcek", "attest/vtpm", "hsm", "internal/claims", "internal/jwk", "internal/jws", "internal/object",
		"internal/releasepolicy", "internal/textfile",
	},
	"internal/bootpolicy": {"attest/snp", "attest/vtpm", "internal/document"},
	"internal/verdict":    {"attest", "attest/maa", "attest/snp", "attest/vcek", "attest/vtpm", "hsm", "internal/artefact", "internal/bootpolicy", "internal/endpoint"},
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

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

	"internal/sidecar/agent":  {"attest/snp", "internal/crash", "internal/sidecar/serving", "attest/tpm"},
	"internal/sidecar/access": {"internal/cache", "internal/refusal", "internal/secmem"},
	"internal/sidecar/limit":  {"internal/refusal"},
	"internal/cache":          {},
	"internal/certificate":    {},
	"internal/observe/audit":  {"internal/refusal"},
	"internal/claims":         {},
	"internal/crash":          {},
	"internal/hardening":      {},
	"internal/cli":            {"internal/config", "internal/hardening", "internal/observe/audit", "internal/refusal", "internal/sbom", "internal/secmem"},
	"internal/config":         {"attest", "hsm", "internal/strictjson", "internal/strictyaml"},
	"internal/azure/outbound": {"attest/vcek", "attest/vtpm", "internal/azure/entra", "internal/azure/httpclient", "internal/config"},
	"internal/operator/login": {"internal/azure/entra", "internal/secmem"},
	// The assembly knows what stands behind each interface.
	"internal/sidecar": {
		"api", "attest", "attest/maa", "attest/snp", "attest/uvm", "attest/vcek", "hsm", "keyrelease",
		"internal/azure/entra", "internal/azure/httpclient", "internal/azure/outbound", "internal/claims", "internal/config", "internal/crash",
		"internal/observe/audit", "internal/observe/journal", "internal/observe/metrics", "internal/observe/tracing",
		"internal/refusal", "internal/sbom", "internal/secmem",
		"internal/sidecar/access", "internal/sidecar/doctor", "internal/sidecar/holder", "internal/sidecar/keyprovider", "internal/sidecar/limit",
		"internal/sidecar/ops", "internal/sidecar/readiness", "internal/sidecar/server", "internal/sidecar/serving",
	},
	"internal/sidecar/holder":     {"internal/sidecar/serving"},
	"internal/operator/measure":   {"internal/operator/rego", "internal/textfile"},
	"internal/observe/journal":    {},
	"internal/observe/metrics":    {"internal/observe/journal"},
	"internal/sidecar/ops":        {"internal/crash", "internal/sidecar/readiness", "internal/sidecar/serving"},
	"internal/operator/rego":      {},
	"internal/textfile":           {},
	"internal/observe/tracing":    {"internal/observe/journal"},
	"internal/operator/provision": {"hsm", "internal/jose/jwk", "internal/refusal", "internal/secmem"},
	"internal/sidecar/readiness":  {"api", "internal/refusal"},
	"internal/refusal":            {},
	"internal/sbom":               {},
	"internal/sidecar/serving":    {},
	"internal/sidecar/doctor": {
		"attest", "attest/snp", "attest/uvm", "attest/vtpm", "hsm", "keyrelease",
		"internal/crash", "internal/azure/httpclient", "internal/jose/jws", "internal/strictjson", "internal/refusal", "internal/secmem",
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
	"attest/vcek": {"attest/snp", "internal/certificate", "internal/crash", "internal/singleflight", "internal/azure/httpclient", "internal/observe/journal", "internal/strictjson", "internal/refusal"},
	"attest": {
		"attest/snp", "attest/vcek", "attest/uvm", "attest/vtpm",
		"internal/azure/endpoint", "internal/observe/journal", "internal/jose/keywrap", "internal/strictjson", "internal/refusal", "internal/secmem", "attest/tpm",
	},
	"attest/maa": {
		"attest", "attest/snp", "attest/vcek", "attest/uvm", "attest/vtpm",
		"internal/cache", "internal/crash", "internal/azure/endpoint", "internal/singleflight", "internal/azure/httpclient", "internal/jose/jwk", "internal/jose/jws", "internal/strictjson", "internal/refusal", "internal/secmem",
	},
	"hsm": {
		"internal/cache", "internal/certificate", "internal/crash", "internal/azure/endpoint", "internal/azure/httpclient", "internal/jose/jwk", "internal/jose/jws", "internal/jose/keywrap", "internal/strictjson", "internal/refusal", "internal/secmem",
		"internal/textfile",
	},
	"keyrelease": {
		"attest", "hsm",
		"internal/cache", "internal/claims", "internal/crash", "internal/singleflight", "internal/observe/journal", "internal/jose/jws", "internal/jose/keywrap", "internal/strictjson", "internal/refusal", "internal/secmem",
	},
	"internal/azure/entra": {"internal/crash", "internal/singleflight", "internal/azure/httpclient", "internal/refusal", "internal/secmem"},
	"internal/operator/lint": {
		"attest", "attest/snp", "hsm", "internal/claims", "internal/strictyaml", "internal/azure/endpoint", "internal/jose/jws", "internal/strictjson", "internal/textfile",
	},
	"internal/sidecar/server": {
		"api", "attest", "attest/vtpm", "hsm", "keyrelease",
		"internal/sidecar/access", "internal/sidecar/limit", "internal/cache", "internal/crash", "internal/sidecar/holder", "internal/observe/journal", "internal/sidecar/keyprovider", "internal/sidecar/keyproviderpb", "internal/sidecar/keyproviderpb/ocicryptpb",
		"internal/sidecar/readiness", "internal/refusal", "internal/secmem", "internal/sidecar/serving",
	},

	"internal/operator/inspect": {
		"attest/snp", "attest/uvm", "attest/vcek", "attest/vtpm", "hsm", "internal/claims", "internal/jose/jwk", "internal/jose/jws", "internal/strictjson",
		"internal/operator/lint", "internal/textfile",
	},
	"internal/operator/bootpolicy": {"attest/snp", "attest/vtpm", "internal/strictyaml"},
	"internal/operator/verify":     {"attest", "attest/maa", "attest/snp", "attest/vcek", "attest/vtpm", "hsm", "internal/operator/inspect", "internal/operator/bootpolicy", "internal/azure/endpoint"},
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

// A program links nothing of the other's, and the operator's packages know no sidecar.
func TestTwoPrograms(t *testing.T) {
	for _, c := range []struct {
		packages  string
		forbidden []string
	}{
		// azidentity has the logins of people in its one package, MSAL's public those in a browser.
		{"skr/cmd/skr", []string{
			"skr/internal/operator", "skr/cmd", "github.com/Azure/azure-sdk-for-go/sdk/azidentity", "github.com/pkg/browser",
			"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public",
		}},
		{"skr/cmd/skrctl", []string{
			"skr/internal/sidecar", "skr/keyrelease", "skr/test", "skr/internal/observe/metrics", "skr/internal/observe/tracing",
			"github.com/prometheus", "google.golang.org/grpc", "go.opentelemetry.io",
		}},
		{"skr/internal/operator/...", []string{"skr/internal/sidecar"}},
	} {
		listed := list(t, c.packages)
		if len(listed) == 0 {
			t.Fatalf("go list told nothing of %s", c.packages)
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
			t.Errorf("%s: the name says nothing about its content", p.ImportPath)
		}
	}
}

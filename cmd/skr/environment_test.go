package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
)

// steered lists variables that ACI and other platforms set in a container.
var steered = map[string]string{
	"IDENTITY_ENDPOINT": "http://127.0.0.1:1/token", "IDENTITY_HEADER": "header", "IDENTITY_SERVER_THUMBPRINT": strings.Repeat("ab", 20),
	"IMDS_ENDPOINT": "http://127.0.0.1:1", "MSI_ENDPOINT": "http://127.0.0.1:1/msi", "MSI_SECRET": "secret",
}

// imds_url is used, whatever the environment names.
func TestSteeringVariables(t *testing.T) {
	imds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"access_token": "t", "token_type": "Bearer",
			"expires_on": strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10), "resource": "https://vault.azure.net"})
	}))
	defer imds.Close()
	for i, set := range [][]string{
		{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"},
		{"IDENTITY_ENDPOINT", "IDENTITY_HEADER"}, {"IDENTITY_ENDPOINT", "IMDS_ENDPOINT"}, {"MSI_ENDPOINT"}, {"MSI_ENDPOINT", "MSI_SECRET"},
	} {
		t.Run(strings.Join(set, " "), func(t *testing.T) {
			env := config.Environment{"SKR_IMDS_URL": imds.URL}
			for _, name := range set {
				t.Setenv(name, steered[name])
				env[name] = steered[name]
			}
			s, _, err := config.Load(nil, env)
			if err != nil {
				t.Fatal(err)
			}
			out, err := outbound.New(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			identity, err := outbound.Identity(s, out)
			if err != nil {
				t.Fatal(err)
			}
			// MSAL keeps tokens for the whole process, so each case has its own audience.
			if _, err := identity.AccessToken(t.Context(), fmt.Sprintf("https://vault%d.azure.net", i)); err != nil {
				t.Error(err)
			}
			if !slices.Equal(s.Steering, set) {
				t.Errorf("%q are reported, want %q", s.Steering, set)
			}
		})
	}
}

// `skr config` lists variables that are set for libraries, without their values.
func TestConfigNamesForeignVariables(t *testing.T) {
	env := config.Environment{"IDENTITY_ENDPOINT": "http://there", "AZURE_CLIENT_SECRET": "hidden", "https_proxy": "http://proxy"}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"skr", "config"}, env, cli.Streams{In: nil, Out: &out, Err: &out}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"identity: IDENTITY_ENDPOINT\n", "only by skrctl: AZURE_CLIENT_SECRET\n", "by libraries: https_proxy\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hidden") || strings.Contains(out.String(), "http://there") {
		t.Error("a value is printed")
	}
}

// Every variable that the Azure libraries read is in the table or is a setting.
func TestForeignVariablesAreListed(t *testing.T) {
	known := map[string]bool{"OS": true, "SYSTEMROOT": true, "ProgramData": true, "SYSTEM_OIDCREQUESTURI": true,
		"AZURE_SDK_GO_LOGGING": true} // Windows, a credential that skr never makes, and variables that internal/hardening refuses
	for _, f := range config.Foreigners {
		known[f.Name] = true
	}
	for name := range config.DropInNames {
		known[name] = true
	}
	read := variablesOfLibraries(t, "github.com/Azure")
	if len(read) < 20 {
		t.Errorf("only %q were found", read)
	}
	for _, name := range read {
		if !known[name] {
			t.Errorf("a library reads %s, which is not in the table", name)
		}
	}
}

// variablesOfLibraries returns the variables that the linked packages of one owner read.
func variablesOfLibraries(t *testing.T, owner string) (names []string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Dir}}", "skr/cmd/skr", "skr/cmd/skrctl").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(path, owner) {
			names = append(names, variablesOfPackage(t, dir)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func variablesOfPackage(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	constants, arguments := map[string]string{}, []ast.Expr{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						constants[name.Name] = literal(n.Values[i])
					}
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Getenv" || f.Sel.Name == "LookupEnv") {
					arguments = append(arguments, n.Args[0])
				}
			}
			return true
		})
	}
	for _, argument := range arguments {
		name := literal(argument)
		if constant, ok := argument.(*ast.Ident); ok {
			name = constants[constant.Name]
		}
		if name == "" {
			t.Errorf("%s reads a variable whose name is not constant", dir)
		}
		names = append(names, name)
	}
	return names
}

func literal(e ast.Expr) string {
	if text, ok := e.(*ast.BasicLit); ok && text.Kind == token.STRING {
		value, _ := strconv.Unquote(text.Value)
		return value
	}
	return ""
}

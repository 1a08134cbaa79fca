package manifests

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"sigs.k8s.io/yaml"
)

// skr and skrctl are the programs, which TestMain builds.
var skr, skrctl string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skr-manifests-")
	if err != nil {
		panic(err)
	}
	skr, skrctl = filepath.Join(dir, "skr"), filepath.Join(dir, "skrctl")
	build := exec.Command("go", "build", "-C", root, "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X skr/internal/sbom.release=v1.2.3", "-o", dir+"/", "./cmd/skr", "./cmd/skrctl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building skr: %v\n%s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// fields returns the fields of the configuration as the program prints them.
// Fields without a value are in a comment.
func fields(t *testing.T) map[string]any {
	t.Helper()
	out, err := exec.Command(skr, "config").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	if err := yaml.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	_, unset, _ := strings.Cut(string(out), "# without a value: ")
	unset, _, _ = strings.Cut(unset, "\n")
	for _, name := range strings.Split(unset, ", ") {
		found[name] = nil
	}
	return found
}

// others are variables that are not fields (docs/configuration.md,
// docs/observability.md).
var others = map[string]bool{"SkrSideCarArgs": true, "OTEL_EXPORTER_OTLP_ENDPOINT": true, "VN2_THIM_ENDPOINT": true}

// TestSettings checks that the program has the variables, arguments and
// commands of the manifests and starts with them.
func TestSettings(t *testing.T) {
	known := fields(t)
	for name, objects := range renders(t) {
		for _, p := range pods(objects) {
			for _, c := range p.sidecars() {
				var environment []string
				for _, variable := range c.Env {
					if !isSetting(known, variable.Name) && !others[variable.Name] && !pending[variable.Name] {
						t.Errorf("%s: skr has no variable %s", name, variable.Name)
					}
					environment = append(environment, variable.Name+"="+variable.Value)
				}
				accepts(t, name, c.Args, environment)
			}
		}
	}
}

// isSetting reports whether the variable belongs to a field of the
// configuration.
func isSetting(known map[string]any, variable string) bool {
	field, ours := strings.CutPrefix(variable, "SKR_")
	_, is := known[strings.ToLower(field)]
	return ours && is
}

// pending are names that manifests have and the program does not have yet.
// Remove a name when the program gets it.
var pending = map[string]bool{}

func TestPending(t *testing.T) {
	known := fields(t)
	for name := range pending {
		_, isField := known[strings.ToLower(strings.TrimPrefix(name, "SKR_"))]
		if isField || isCommand(t, name) {
			t.Errorf("skr has %s now; remove it from pending", name)
		}
	}
}

// isCommand reports whether the program's help lists the command.
func isCommand(t *testing.T, name string) bool {
	t.Helper()
	out, err := exec.Command(skr, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(out), "\n  "+name+" ")
}

// accepts checks that the program reads the environment and arguments without
// an error.
func accepts(t *testing.T, name string, args, environment []string) {
	t.Helper()
	command := []string{"config"}
	if len(args) > 0 {
		if pending[args[0]] {
			return
		}
		if !isCommand(t, args[0]) {
			t.Errorf("%s: skr has no command %s", name, args[0])
		}
		command = append(slices.Clone(args), "--help")
	}
	run := exec.Command(skr, command...)
	run.Env = environment
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%s: skr %s with %q: %v\n%s", name, command, environment, err, out)
	}
}

// TestChartSettings checks that the chart's settings are all fields of the
// configuration except those that the chart sets itself.
func TestChartSettings(t *testing.T) {
	want := fields(t)
	for _, own := range []string{"listen", "grpc_listen", "ops_listen", "report_source", "tpm", "event_log"} {
		if _, found := want[own]; !found {
			t.Errorf("skr has no field %s", own)
		}
		delete(want, own)
	}
	settings := schema(t).Properties["sidecar"].Properties["settings"].Properties
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if settings[name].Description == "" {
			t.Errorf("values.schema.json lacks sidecar.settings.%s", name)
		} else if row := fmt.Sprintf("| %s |\n", settings[name].Description); !strings.Contains(string(read(t, root+"/docs/reference/settings.md")), row) {
			t.Errorf("values.schema.json and docs/reference/settings.md differ on %s", name)
		}
	}
	for name := range settings {
		if _, found := want[name]; !found {
			t.Errorf("values.schema.json has sidecar.settings.%s, which skr lacks", name)
		}
	}
}

// TestFleetMember checks that each pod of a fleet gets its own name.
func TestFleetMember(t *testing.T) {
	values := valuesOf(t, chartDirectory+"/ci/plain-values.yaml")
	for _, c := range []struct {
		settings map[string]any
		want     string
	}{
		{map[string]any{"fleet_window": "35m"}, "status.podIP"},
		{map[string]any{"fleet_window": "35m", "fleet_member": "7"}, ""},
		{map[string]any{}, ""},
	} {
		values["sidecar"].(map[string]any)["settings"] = c.settings
		got := ""
		for _, variable := range pods(decode(t, rendered(t, values)))[0].sidecars()[0].Env {
			if variable.Name == "SKR_FLEET_MEMBER" && variable.ValueFrom != nil {
				got = variable.ValueFrom.FieldRef.FieldPath
			}
		}
		if got != c.want {
			t.Errorf("%v: fleet_member is from %q, want %q", c.settings, got, c.want)
		}
	}
}

// TestSettingsArrive checks that the values of settings reach the program
// unchanged.
func TestSettingsArrive(t *testing.T) {
	values := valuesOf(t, chartDirectory+"/ci/plain-values.yaml")
	sidecar := pods(decode(t, rendered(t, values)))[0].sidecars()[0]
	run := exec.Command(skr, "config")
	for _, variable := range sidecar.Env {
		run.Env = append(run.Env, variable.Name+"="+variable.Value)
	}
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	if err := yaml.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	given, _ := at(values, "sidecar.settings")
	for name, want := range given.(map[string]any) {
		if name == "attestation_max_age" {
			want = "30m0s"
		}
		if asJSON(t, got[name]) != asJSON(t, want) && fmt.Sprint(got[name]) != asJSON(t, want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["listen"] != "localhost:8080" || got["grpc_listen"] != "localhost:50000" || got["ops_listen"] != ":9090" {
		t.Errorf("listens on %v, %v, %v", got["listen"], got["grpc_listen"], got["ops_listen"])
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestBillOfMaterials checks that the bill of materials is CycloneDX and lists
// the modules that the linker included.
func TestBillOfMaterials(t *testing.T) {
	out, err := exec.Command(skr, "version", "--sbom").Output()
	if err != nil {
		t.Fatal(err)
	}
	var bill cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(out), cyclonedx.BOMFileFormatJSON).Decode(&bill); err != nil {
		t.Fatal(err)
	}
	if bill.BOMFormat != cyclonedx.BOMFormat || bill.SpecVersion != cyclonedx.SpecVersion1_6 || bill.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("%s %s of %s", bill.BOMFormat, bill.SpecVersion, bill.Metadata.Component.Version)
	}
	info, err := buildinfo.ReadFile(skr)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]cyclonedx.Component{}
	for _, c := range *bill.Components {
		listed[c.Name+"@"+c.Version] = c
	}
	for _, module := range info.Deps {
		c, found := listed[module.Path+"@"+module.Version]
		if !found || c.Hashes == nil || len((*c.Hashes)[0].Value) != 64 || !strings.HasPrefix(c.PackageURL, "pkg:golang/"+strings.ToLower(module.Path)+"@") {
			t.Errorf("%s %s: listed %v, as %+v", module.Path, module.Version, found, c)
		}
	}
	if len(listed) != len(info.Deps)+1 || len(info.Deps) < 10 {
		t.Errorf("%d components of %d modules and the standard library", len(listed), len(info.Deps))
	}
}

package manifests

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeDir = "../../examples/compose/"

// load reads Compose files as docker compose does: strictly, by the schema of the specification.
func load(t *testing.T, change func([]byte) []byte, names ...string) (*types.Project, error) {
	t.Helper()
	details := types.ConfigDetails{WorkingDir: composeDir, Environment: types.Mapping{}}
	for _, name := range names {
		text, err := os.ReadFile(composeDir + name)
		if err != nil {
			t.Fatal(err)
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: composeDir + name, Content: change(text)})
	}
	return loader.LoadWithContext(t.Context(), details, func(o *loader.Options) { o.SetProjectName("skr", true) })
}

func same(text []byte) []byte { return text }

// TestCompose holds the Compose files against the Compose specification. Every container is
// confined, and no network leads to another one.
func TestCompose(t *testing.T) {
	for _, names := range [][]string{{"compose.yaml"}, {"compose.yaml", "other.yaml"}} {
		project, err := load(t, same, names...)
		if err != nil {
			t.Fatal(err)
		}
		if want := 1 + 2*len(names); len(project.Services) != want {
			t.Errorf("services %q, want %d", slices.Sorted(maps.Keys(project.Services)), want)
		}
		for name, service := range project.Services {
			checkService(t, name, service)
		}
		for name, network := range project.Networks {
			if !network.Internal {
				t.Errorf("network %s is not internal", name)
			}
		}
	}
}

func checkService(t *testing.T, name string, service types.ServiceConfig) {
	t.Helper()
	if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || !slices.Equal(service.SecurityOpt, []string{"no-new-privileges"}) ||
		service.Privileged || service.User != "" || len(service.Ports) > 0 {
		t.Errorf("%s is not confined", name)
	}
	for dependency, how := range service.DependsOn {
		if how.Condition != types.ServiceConditionHealthy {
			t.Errorf("%s waits for %s to be %q", name, dependency, how.Condition)
		}
	}
	if !strings.HasSuffix(name, "application") && service.HealthCheck == nil {
		t.Errorf("%s has no health check", name)
	}
	// podman-compose 1.0.3 knows neither a shared network nor aliases.
	for network, how := range service.Networks {
		if how != nil || service.NetworkMode != "" {
			t.Errorf("%s has aliases in %s or a network mode", name, network)
		}
	}
}

// TestComposeIsStrict: a misspelled key is an error.
func TestComposeIsStrict(t *testing.T) {
	for _, wrong := range []string{"read_onyl:", "cap_dorp:"} {
		right := map[string]string{"read_onyl:": "read_only:", "cap_dorp:": "cap_drop:"}[wrong]
		misspell := func(text []byte) []byte { return bytes.Replace(text, []byte(right), []byte(wrong), 1) }
		if _, err := load(t, misspell, "compose.yaml"); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(wrong, ":")) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

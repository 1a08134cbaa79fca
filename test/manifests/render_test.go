package manifests

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	root           = "../.."
	chartDirectory = root + "/deploy/helm/skr"
)

// renders returns all manifests by their source: each values file of the chart,
// the Kustomize example, and the plain files.
func renders(t *testing.T) map[string][]object {
	t.Helper()
	all := map[string][]object{"kustomize/example": kustomized(t, root+"/deploy/kustomize/example")}
	for _, file := range glob(t, chartDirectory+"/ci/*-values.yaml") {
		all["helm/"+filepath.Base(file)] = decode(t, rendered(t, valuesOf(t, file)))
	}
	for _, directory := range []string{"csi", "kafka", "virtualnodes"} {
		for _, file := range glob(t, root+"/deploy/"+directory+"/*.yaml") {
			all[directory+"/"+filepath.Base(file)] = decode(t, string(read(t, file)))
		}
	}
	return all
}

func valuesOf(t *testing.T, file string) map[string]any {
	t.Helper()
	values, err := chartutil.ReadValuesFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// kubeVersion is the oldest version that the chart admits.
var kubeVersion = chartutil.KubeVersion{Version: "v1.29.0", Major: "1", Minor: "29"}

// template renders the chart as `helm template orders --namespace shop` does.
func template(t *testing.T, values map[string]any) (map[string]string, error) {
	t.Helper()
	loaded, err := loader.Load(chartDirectory)
	if err != nil {
		t.Fatal(err)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = kubeVersion
	given, err := chartutil.ToRenderValues(loaded, values,
		chartutil.ReleaseOptions{Name: "orders", Namespace: "shop", Revision: 1, IsInstall: true}, capabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, given)
}

// rendered returns the manifests of the chart as one text.
func rendered(t *testing.T, values map[string]any) string {
	t.Helper()
	files, err := template(t, values)
	if err != nil {
		t.Fatal(err)
	}
	var manifests strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(files[name]) != "" {
			manifests.WriteString("---\n" + files[name] + "\n")
		}
	}
	return manifests.String()
}

func kustomized(t *testing.T, dir string) []object {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(text))
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

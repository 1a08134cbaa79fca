package manifests

import (
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestDocumentedExample checks that the values in docs/deployment.md render a
// working chart.
func TestDocumentedExample(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(# values.yaml\n.*?)```").FindStringSubmatch(string(read(t, root+"/docs/deployment.md")))
	if block == nil {
		t.Fatal("docs/deployment.md shows no values.yaml")
	}
	values := map[string]any{}
	text := strings.Replace(block[1], "sha256:…", "sha256:"+strings.Repeat("0", 64), 1)
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	found := pods(decode(t, rendered(t, values)))
	if len(found) != 1 || len(found[0].sidecars()) != 1 || !strings.HasPrefix(found[0].sidecars()[0].Image, "registry.example/skr@sha256:0") {
		t.Errorf("it renders %+v", found)
	}
}

// parent is a chart with its own pod, which includes the templates that
// docs/deployment.md names.
const parent = `{{ include "skr.persistentVolume" .Subcharts.skr }}
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  {{- include "skr.placement" .Subcharts.skr | nindent 2 }}
  initContainers:
    - {{- include "skr.container" .Subcharts.skr | nindent 6 }}
  containers: [{name: app, image: app}]
  volumes:
    {{- include "skr.volumes" .Subcharts.skr | nindent 4 }}
`

// TestDependency checks that a chart that depends on this one includes the
// sidecar in its own pod and gets nothing else.
func TestDependency(t *testing.T) {
	own := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "own", Version: "1.0.0"},
		Templates: []*chart.File{{Name: "templates/pod.yaml", Data: []byte(parent)}},
	}
	sidecar, err := loader.Load(chartDirectory)
	if err != nil {
		t.Fatal(err)
	}
	own.AddDependency(sidecar)
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = kubeVersion
	values, err := chartutil.ToRenderValues(own, map[string]any{"skr": map[string]any{"platform": "cvm"}},
		chartutil.ReleaseOptions{Name: "orders", Namespace: "shop"}, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(own, values)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.HasPrefix(name, "own/charts/skr/") && strings.HasSuffix(name, ".yaml") && strings.TrimSpace(text) != "" {
			t.Errorf("%s is not empty:\n%s", name, text)
		}
	}
	found := pods(decode(t, files["own/templates/pod.yaml"]))
	if len(found) != 1 || len(found[0].sidecars()) != 1 {
		t.Fatalf("it renders %+v", found)
	}
	init := found[0].template.Spec.InitContainers[0]
	if init.RestartPolicy == nil || *init.RestartPolicy != core.ContainerRestartPolicyAlways ||
		found[0].template.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != "orders-vtpm" {
		t.Errorf("the pod is %+v", found[0].template.Spec)
	}
}

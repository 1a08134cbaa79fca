package apiserver

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests returns the installations of plain manifests and of Kustomize components.
func manifests(t *testing.T) (all []installation) {
	for _, file := range []string{
		"csi/provider.yaml", "csi/application.yaml", "virtualnodes/skr.yaml", "virtualnodes/application.yaml",
		"kafka/consumer.yaml", "kafka/producer.yaml",
	} {
		all = append(all, installation{name: file, rows: []string{"`deploy/" + file + "`"}, text: fixed(read(t, root+"/deploy/"+file)),
			accounts: file == "kafka/consumer.yaml"}) // docs/aks.md creates its service account
	}
	return append(all,
		installation{name: "kafka/kafka.yaml", text: fixed(read(t, root+"/deploy/kafka/kafka.yaml"))},
		installation{name: "prometheus/alerts.yaml", text: fixed(rule(t))},
		installation{name: "kustomize/sidecar", rows: []string{"`deploy/kustomize/sidecar`"}, text: fixed(withSidecar(t))},
		installation{name: "kustomize/example", rows: []string{"`deploy/kustomize/aks-kata`"},
			text: fixed(kustomized(t, filesys.MakeFsOnDisk(), root+"/deploy/kustomize/example"))},
	)
}

// fixed returns manifests in any namespace.
func fixed(text string) func(*testing.T, string) string {
	return func(_ *testing.T, namespace string) string { return placed(text, namespace) }
}

// rule returns deploy/prometheus/alerts.yaml as the spec of a PrometheusRule.
func rule(t *testing.T) string {
	text := read(t, root+"/deploy/prometheus/alerts.yaml")
	return "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: skr}\nspec:\n  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
}

// kustomized returns what `kubectl kustomize` prints.
func kustomized(t *testing.T, files filesys.FileSystem, dir string) string {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withSidecar returns the example of Kustomize with the component "sidecar" only.
func withSidecar(t *testing.T) string {
	files := filesys.MakeFsInMemory()
	for _, file := range []string{"example/application.yaml", "sidecar/kustomization.yaml", "sidecar/patch.yaml"} {
		if err := files.WriteFile("/"+file, []byte(read(t, root+"/deploy/kustomize/"+file))); err != nil {
			t.Fatal(err)
		}
	}
	kustomization := strings.Replace(read(t, root+"/deploy/kustomize/example/kustomization.yaml"), ", ../aks-kata]", "]", 1)
	if err := files.WriteFile("/example/kustomization.yaml", []byte(kustomization)); err != nil {
		t.Fatal(err)
	}
	return kustomized(t, files, "/example")
}

var (
	block = regexp.MustCompile("(?ms)^ *```\\w*\n(.*?)^ *```$")
	// heredoc begins a file that a command of a document writes.
	heredoc = regexp.MustCompile(`(?m)^cat >+\S+ <<'?END'?\n|^END\n`)
)

// TestDocuments installs the objects of Kubernetes in the documents. They are the reader's own
// applications, so their pods may be as they like.
func TestDocuments(t *testing.T) {
	files, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range append(files, root+"/README.md", root+"/examples/README.md") {
		for _, found := range block.FindAllStringSubmatch(read(t, file), -1) {
			for _, text := range heredoc.Split(found[1], -1) {
				if !isObject(text) {
					continue
				}
				count++
				i := installation{accounts: true, token: true, text: fixed(text)}
				t.Run(filepath.Base(file), func(t *testing.T) { i.create(t, newNamespace(t, "privileged"), "privileged") })
			}
		}
	}
	if count == 0 {
		t.Error("the documents show no object of Kubernetes")
	}
}

// isObject reports whether a text begins with an object of Kubernetes.
func isObject(text string) bool {
	var o head
	first := separator.Split(text, 2)[0]
	return yaml.Unmarshal([]byte(first), &o) == nil && o.APIVersion != "" && o.Kind != ""
}

func kindOf(t *testing.T, document string) string {
	t.Helper()
	var o head
	if err := yaml.Unmarshal([]byte(document), &o); err != nil {
		t.Fatal(err)
	}
	return o.Kind
}

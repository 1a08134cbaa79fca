package apiserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// helm runs a command of Helm for the release "orders" in a namespace.
func helm(t *testing.T, namespace string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	flags := []string{"HELM_CACHE_HOME=" + dir, "HELM_CONFIG_HOME=" + dir, "HELM_DATA_HOME=" + dir, tools.helm,
		"--kubeconfig", cluster.file("kubeconfig"), "--namespace", namespace}
	return output(t.Context(), "env", append(flags, args...)...)
}

// TestHelm installs, upgrades, rolls back and uninstalls the chart with each of its files of
// values. No controller runs, so it waits for nothing.
func TestHelm(t *testing.T) {
	for _, i := range chartFiles(t) {
		name, isFile := strings.CutSuffix(i.name, "-values.yaml")
		if !isFile {
			continue
		}
		t.Run(name, func(t *testing.T) { lifeOf(t, root+"/deploy/helm/skr/ci/"+strings.TrimPrefix(i.name, "chart/")) })
	}
}

// lifeOf takes a release from its installation to its end.
func lifeOf(t *testing.T, values string) {
	namespace := newNamespace(t, "privileged")
	must := func(args ...string) string {
		t.Helper()
		out, err := helm(t, namespace, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("install", "orders", chart, "--values", values)
	objects := objectsOf(t, must("get", "manifest", "orders"), namespace)
	for _, path := range objects {
		checkStatus(t, path, http.StatusOK)
	}
	upgrade := []string{"upgrade", "orders", chart, "--values", values, "--set", "image.tag=next,image.digest=,agent.tolerations[0].operator=Exists"}
	if strings.HasSuffix(values, "/job-values.yaml") { // docs/deployment.md: delete the Job first
		if _, err := helm(t, namespace, upgrade...); err == nil || !strings.Contains(err.Error(), "field is immutable") {
			t.Errorf("the Job is upgraded: %v", err)
		}
		remove(t, objects, "/jobs/")
	}
	must(upgrade...)
	if image := must("get", "manifest", "orders"); !strings.Contains(image, ":next") {
		t.Errorf("the upgrade changes no image:\n%s", image)
	}
	if strings.HasSuffix(values, "/job-values.yaml") {
		remove(t, objects, "/jobs/")
	}
	must("rollback", "orders", "1")
	if got := objectsOf(t, must("get", "manifest", "orders"), namespace); !slices.Equal(got, objects) {
		t.Errorf("after the rollback: %v, want %v", got, objects)
	}
	must("uninstall", "orders")
	for _, path := range objects {
		if strings.Contains(path, "/persistentvolume") {
			checkDeleted(t, path)
			continue
		}
		checkStatus(t, path, http.StatusNotFound)
	}
}

// objectsOf returns the paths of the objects in a text.
func objectsOf(t *testing.T, text, namespace string) (found []string) {
	t.Helper()
	all, err := documents(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range all {
		metadata := parsed(t, document)
		var o head
		o.APIVersion, o.Kind = metadata["apiVersion"].(string), metadata["kind"].(string)
		path, err := cluster.path(t.Context(), o, namespace)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, path+"/"+member(metadata, "metadata")["name"].(string))
	}
	slices.Sort(found)
	return found
}

func checkStatus(t *testing.T, path string, want int) {
	t.Helper()
	status, body, err := cluster.get(t.Context(), path)
	if err != nil || status != want {
		t.Errorf("%s: %d, want %d: %v\n%s", path, status, want, err, body)
	}
}

// checkDeleted checks that an object is deleted, or will be when a controller of the cluster
// has seen that no pod uses it.
func checkDeleted(t *testing.T, path string) {
	t.Helper()
	status, body, err := cluster.get(t.Context(), path)
	if err != nil || status != http.StatusNotFound && !strings.Contains(string(body), `"deletionTimestamp"`) {
		t.Errorf("%s is not deleted: %d, %v\n%s", path, status, err, body)
	}
}

// remove deletes the objects whose path contains part.
func remove(t *testing.T, objects []string, part string) {
	t.Helper()
	for _, path := range objects {
		if strings.Contains(path, part) {
			query := url.Values{"propagationPolicy": {"Background"}}
			if _, err := cluster.send(t.Context(), http.MethodDelete, path, query, "application/json", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestHelmNames installs the chart under names that Helm and Kubernetes admit but that are
// unusual, and from a package whose version has build metadata.
func TestHelmNames(t *testing.T) {
	const long = "a2345678901234567890123456789012345678901234567890123" // the longest name of a release
	for _, release := range []string{long, "0rders", "orders.v2"} {
		for _, kind := range []string{"Deployment", "StatefulSet", "Job"} {
			values := merged(parsed(t, application), map[string]any{"platform": "cvm", "application": map[string]any{"kind": kind}})
			t.Run(release+"/"+kind, func(t *testing.T) {
				installation{text: func(t *testing.T, namespace string) string { return rendered(t, release, namespace, values) }}.
					install(t, "restricted")
			})
		}
	}
	t.Run("build metadata", func(t *testing.T) {
		namespace, dir := newNamespace(t, "restricted"), t.TempDir()
		const version = "1.2.3+build.4"
		if _, err := output(t.Context(), tools.helm, "package", chart, "--version", version, "--app-version", version, "--destination", dir); err != nil {
			t.Fatal(err)
		}
		file := valuesFile(t, merged(parsed(t, application), map[string]any{"platform": "cvm"}))
		if _, err := helm(t, namespace, "install", "orders", dir+"/skr-"+version+".tgz", "--values", file); err != nil {
			t.Fatal(err)
		}
		manifest, err := helm(t, namespace, "get", "manifest", "orders")
		if err != nil || !strings.Contains(manifest, "image: skr:1.2.3_build.4\n") { // tags admit no "+"
			t.Errorf("%v: the image has another tag in\n%s", err, manifest)
		}
	})
}

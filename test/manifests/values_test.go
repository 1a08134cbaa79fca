package manifests

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestUpgrade checks that values which rendered before the chart had more of them still render the same objects:
// testdata/chart has the output of that chart.
func TestUpgrade(t *testing.T) {
	files := glob(t, "testdata/chart/*-values.yaml")
	if len(files) != 8 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		got := trees(t, rendered(t, valuesOf(t, chartDirectory+"/ci/"+filepath.Base(file))))
		want := trees(t, string(read(t, file)))
		for name, object := range want {
			if !reflect.DeepEqual(got[name], object) {
				t.Errorf("%s: %s is %s, want %s", file, name, asJSON(t, got[name]), asJSON(t, object))
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", file, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// trees returns the objects in a text by kind and name.
func trees(t *testing.T, text string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, document := range separator.Split(text, -1) {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if name, _ := at(object, "metadata.name"); len(object) > 0 {
			found[object["kind"].(string)+"/"+name.(string)] = object
		}
	}
	return found
}

// TestStatefulSet checks each value that only some users need.
func TestStatefulSet(t *testing.T) {
	objects := decode(t, rendered(t, valuesOf(t, chartDirectory+"/ci/statefulset-values.yaml")))
	var set *apps.StatefulSet
	for _, o := range objects {
		switch o := o.(type) {
		case *apps.StatefulSet:
			set = o
		case *core.ServiceAccount:
			if o.Name != "ledger-db" || o.Annotations["owner"] != "ledger" || o.Annotations["azure.workload.identity/client-id"] == "" {
				t.Errorf("service account %s: %v", o.Name, o.Annotations)
			}
		}
	}
	if set == nil {
		t.Fatal("no StatefulSet is rendered")
	}
	pod, spec := set.Spec.Template, set.Spec.Template.Spec
	var names []string
	for _, v := range spec.Volumes {
		names = append(names, v.Name)
	}
	skr := spec.InitContainers[0]
	for what, is := range map[string]bool{
		"name":              set.Name == "ledger-db" && set.Spec.ServiceName == "ledger-db" && *set.Spec.Replicas == 3,
		"selector":          set.Spec.Selector.MatchLabels["app.kubernetes.io/name"] == "ledger" && pod.Labels["app.kubernetes.io/name"] == "ledger",
		"claims":            len(set.Spec.VolumeClaimTemplates) == 1,
		"annotations":       pod.Annotations["team"] == "ledger" && pod.Labels["tier"] == "data",
		"pull secrets":      reflect.DeepEqual(spec.ImagePullSecrets, []core.LocalObjectReference{{Name: "registry"}, {Name: "mirror"}}),
		"security context":  *spec.SecurityContext.FSGroup == 1000 && *spec.SecurityContext.RunAsNonRoot && spec.SecurityContext.SeccompProfile != nil,
		"sidecar's context": *skr.SecurityContext.RunAsGroup == 1000 && *skr.SecurityContext.RunAsUser == 65532 && *skr.SecurityContext.ReadOnlyRootFilesystem,
		"nodes":             spec.NodeSelector["disk"] == "fast" && spec.NodeSelector["kubernetes.azure.com/security-type"] == "ConfidentialVM",
		"tolerations":       len(spec.Tolerations) == 1 && spec.Tolerations[0].Key == "dedicated",
		"affinity":          spec.Affinity != nil && spec.Affinity.PodAntiAffinity != nil,
		"volumes":           slices.Equal(names, []string{"skr-vtpm", "crypto"}) && spec.Volumes[0].PersistentVolumeClaim.ClaimName == "ledger-db-vtpm",
		"mounts":            len(skr.VolumeMounts) == 2 && skr.VolumeMounts[1].MountPath == "/run/crypto",
	} {
		if !is {
			t.Errorf("%s: the StatefulSet is %s", what, asJSON(t, set))
		}
	}
}

// TestJob checks that a Job completes although its sidecar runs, and that the chart refuses one that would not.
func TestJob(t *testing.T) {
	values := valuesOf(t, chartDirectory+"/ci/job-values.yaml")
	for _, o := range decode(t, rendered(t, values)) {
		job, is := o.(*batch.Job)
		if !is {
			continue
		}
		spec := job.Spec.Template.Spec
		if *job.Spec.BackoffLimit != 2 || job.Spec.Selector != nil || spec.RestartPolicy != core.RestartPolicyNever ||
			*spec.InitContainers[0].RestartPolicy != core.ContainerRestartPolicyAlways {
			t.Errorf("the Job is %s", asJSON(t, job))
		}
		return
	}
	t.Error("no Job is rendered")
}

// TestSecurityContextFalse checks that a member that is false replaces one that is true.
func TestSecurityContextFalse(t *testing.T) {
	values := valuesOf(t, chartDirectory+"/ci/job-values.yaml")
	values["podSecurityContext"] = map[string]any{"runAsNonRoot": false}
	values["sidecar"] = map[string]any{"securityContext": map[string]any{"readOnlyRootFilesystem": false}}
	spec := pods(decode(t, rendered(t, values)))[0].template.Spec
	if *spec.SecurityContext.RunAsNonRoot || *spec.InitContainers[0].SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("%s", asJSON(t, spec))
	}
}

// TestNothingRendered checks that values which would install nothing, or not what they name, are an error.
func TestNothingRendered(t *testing.T) {
	application := func(spec map[string]any, more map[string]any) map[string]any {
		values := map[string]any{"template": map[string]any{"spec": spec}}
		maps.Copy(values, more)
		return values
	}
	containers := map[string]any{"containers": []any{map[string]any{"name": "app", "image": "app:1"}}}
	for _, c := range []struct {
		want string
		set  map[string]any
	}{
		{"nothing would be installed: set application.template", nil},
		{"no containers are in spec.containers", map[string]any{"application": application(map[string]any{"container": []any{}}, nil)}},
		{"no containers are in spec.containers", map[string]any{"platform": "cvm", "agent": map[string]any{"enabled": true},
			"application": application(map[string]any{"volumes": []any{}}, nil)}},
		{"no pod with metrics", map[string]any{"platform": "cvm", "agent": map[string]any{"enabled": true},
			"ops": map[string]any{"podMonitor": map[string]any{"enabled": true}}}},
		{"a Job does not complete", map[string]any{"sidecar": map[string]any{"native": false},
			"application": application(containers, map[string]any{"kind": "Job"})}},
		{"a Job does not complete", map[string]any{"platform": "aci", "application": application(containers, map[string]any{"kind": "Job"})}},
		{"application.spec.selector: the chart sets it",
			map[string]any{"application": application(containers, map[string]any{"spec": map[string]any{"selector": 1}})}},
		{"kind", map[string]any{"application": application(containers, map[string]any{"kind": "Rollout"})}},
		{"imagePullSecrets", map[string]any{"application": application(containers, nil), "imagePullSecrets": []any{map[string]any{"nam": "a"}}}},
		{"extraVolume", map[string]any{"application": application(containers, nil), "extraVolume": []any{}}},
	} {
		if files, err := template(t, c.set); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q; %d files", c.set, err, c.want, len(files))
		}
	}
}

// description is a comment of helm-docs, with the name of its value.
var description = regexp.MustCompile(`(?m)^( *)# -- (.*)\n( *)(\w+):`)

// TestReadme checks that values.yaml describes each value as the schema does, and that README.md has the table that
// helm-docs makes of it. With HELM_DOCS or the program in PATH, the program makes the whole file.
func TestReadme(t *testing.T) {
	text := string(read(t, chartDirectory+"/values.yaml"))
	values, leaves := valuesOf(t, chartDirectory+"/values.yaml"), schema(t).leaves("")
	readme := string(read(t, chartDirectory+"/README.md"))
	delete(leaves, "global")
	described := map[string]int{}
	for _, found := range description.FindAllStringSubmatch(text, -1) {
		described[found[4]+": "+found[2]]++
	}
	for path, leaf := range leaves {
		name := path[strings.LastIndexByte(path, '.')+1:]
		if described[name+": "+leaf.Description] != 1 {
			t.Errorf("values.yaml describes %s otherwise, or twice", path)
		}
		value, _ := at(values, path)
		row := "| " + path + " | " + helmType(value) + " | `" + asJSON(t, value) + "` | " + leaf.Description + " |\n"
		if !strings.Contains(readme, row) {
			t.Errorf("README.md lacks the row, run make chart-docs:\n%s", row)
		}
	}
	if rows := strings.Count(readme, "\n| ") - 1; rows != len(leaves) || len(described) != len(leaves) {
		t.Errorf("README.md has %d values, values.yaml %d descriptions, and the schema %d", rows, len(described), len(leaves))
	}
	helmDocs := os.Getenv("HELM_DOCS")
	if helmDocs == "" {
		helmDocs, _ = exec.LookPath("helm-docs")
	}
	if helmDocs == "" {
		return // the rows above are the whole table
	}
	out, err := exec.Command(helmDocs, "--dry-run", "--log-level", "error", "--chart-search-root", chartDirectory).Output()
	if err != nil || strings.TrimSpace(string(out)) != strings.TrimSpace(readme) {
		t.Errorf("README.md is out of date, run make chart-docs: %v\n%s", err, out)
	}
}

// helmType returns the name of a type as helm-docs writes it.
func helmType(value any) string {
	switch value.(type) {
	case bool:
		return "bool"
	case string:
		return "string"
	case []any:
		return "list"
	case float64, int64, json.Number:
		return "int"
	}
	return "object"
}

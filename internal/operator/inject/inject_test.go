package inject

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"skr/internal/operator/splice"
)

const (
	image    = "registry.example/skr@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	client   = "11111111-1111-1111-1111-111111111111"
	resource = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders"
)

// usual are options that fit a platform.
func usual(p Platform) Options {
	o := Options{Platform: p, Image: image, User: -1, Identity: client, Ports: []int{8080},
		Settings: []Variable{{"SKR_KEYS", `{"orders":{"vault":"v.vault.azure.net"}}`}, {"SKR_ACCESS", `[{"name":"app"}]`}}}
	if p == Group || p == VirtualNodes {
		o.Identity = resource
	}
	return o
}

func add(t *testing.T, text string, o Options) string {
	t.Helper()
	result, err := Add(text, o)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return result.Text
}

// inputs are the files of testdata, by name.
func inputs(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = string(text)
	}
	return all
}

// variants are the same file with other bytes.
func variants(text string) map[string]string {
	return map[string]string{
		"":          text,
		"CR LF":     strings.ReplaceAll(text, "\n", "\r\n"),
		"mark":      mark + text,
		"no end":    strings.TrimRight(text, "\n"),
		"two":       text + "\n--- # second\napiVersion:   v1\nkind: ConfigMap\ndata: {a:   'b',\n  c: d}\n\n\n",
		"commented": "# before\n\n" + text + "\n# after\n",
	}
}

func platformsOf(name string) []Platform {
	if strings.HasPrefix(name, "group") {
		return []Platform{Group}
	}
	if strings.HasPrefix(name, "daemonset") {
		return []Platform{Kata, CVM, CVMTDX}
	}
	return []Platform{Group, VirtualNodes, Kata, CVM, CVMTDX, TrustedLaunch}
}

// Adding twice gives the same bytes, other options give what they give to the first file, and removing restores it.
func TestRoundTrip(t *testing.T) {
	runs := 0
	for name, input := range inputs(t) {
		for variant, before := range variants(input) {
			if strings.HasSuffix(name, ".json") && (variant == "two" || variant == "commented") {
				continue
			}
			for _, p := range platformsOf(name) {
				o, other := usual(p), usual(p)
				other.Identity, other.Classic, other.Direct, other.Settings = "", true, p.UsesVTPM(), nil
				checkRoundTrip(t, name+", "+variant+", "+string(p), before, o, other)
				runs++
			}
		}
	}
	if runs < 100 {
		t.Errorf("only %d runs", runs)
	}
}

func checkRoundTrip(t *testing.T, where, before string, o, other Options) {
	t.Helper()
	once, changed := add(t, before, o), add(t, before, other)
	if once == before || once == changed {
		t.Fatalf("%s: nothing is added", where)
	}
	for what, c := range map[string][2]string{
		"adding twice":            {add(t, once, o), once},
		"adding with other flags": {add(t, once, other), changed},
		"adding with them again":  {add(t, changed, o), once},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %s gives\n%s\nwant\n%s", where, what, c[0], c[1])
		}
	}
	for _, after := range []string{once, changed} {
		if got, err := Remove(after, nil); err != nil || got != before {
			t.Errorf("%s: removing gives %v\n%q\nwant\n%q", where, err, got, before)
		}
	}
	if strings.Contains(before, "\r\n") && strings.Count(once, "\n") != strings.Count(once, "\r\n") {
		t.Errorf("%s: lines end in two ways\n%q", where, once)
	}
}

// What was in the file before is in it after, with the same values, and JSON stays JSON.
func TestAddsOnly(t *testing.T) {
	for name, input := range inputs(t) {
		for _, p := range platformsOf(name) {
			after := add(t, input, usual(p))
			if strings.HasSuffix(name, ".json") && !json.Valid([]byte(after)) {
				t.Errorf("%s: not JSON:\n%s", name, after)
			}
			before, _ := splice.Split(input)
			documents, err := splice.Split(after)
			if err != nil || len(documents) != len(before) {
				t.Fatalf("%s: %d documents, %v", name, len(documents), err)
			}
			for i := range documents {
				if where := lacks(decoded(t, documents[i]), decoded(t, before[i]), ""); where != "" {
					t.Errorf("%s on %s: the value of %s is lost:\n%s", name, p, where, documents[i])
				}
			}
		}
	}
}

func decoded(t *testing.T, text string) (value any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return value
}

// lacks returns the path of a value that a tree lacks. Lists keep the order of their items.
func lacks(have, want any, path string) string {
	switch want := want.(type) {
	case nil:
		return ""
	case map[string]any:
		members, _ := have.(map[string]any)
		for name, value := range want {
			if below := lacks(members[name], value, path+"."+name); below != "" {
				return below
			}
		}
		return ""
	case []any:
		items, _ := have.([]any)
		if len(items) < len(want) {
			return path
		}
		for i, item := range items[len(items)-len(want):] {
			if below := lacks(item, want[i], path+"[]"); below != "" {
				return below
			}
		}
		return ""
	}
	if !reflect.DeepEqual(have, want) {
		return path
	}
	return ""
}

// A sidecar is first among the containers of its list, so that the others can use it.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		classic bool
		want    string
	}{{false, "init: skr migrate; app proxy"}, {true, "init: migrate; skr app proxy"}} {
		o := usual(Kata)
		o.Classic = c.classic
		var pod struct {
			Spec struct{ InitContainers, Containers []struct{ Name string } }
		}
		text := add(t, "apiVersion: v1\nkind: Pod\nspec:\n  initContainers:\n  - name: migrate\n  containers:\n  - name: app\n  - name: proxy\n", o)
		if err := yaml.Unmarshal([]byte(text), &pod); err != nil {
			t.Fatal(err)
		}
		got := "init:"
		for _, i := range pod.Spec.InitContainers {
			got += " " + i.Name
		}
		got += ";"
		for _, i := range pod.Spec.Containers {
			got += " " + i.Name
		}
		if got != c.want {
			t.Errorf("classic %v: %s, want %s", c.classic, got, c.want)
		}
	}
}

// Remove keeps what others added to the collections that Add made.
func TestRemoveKeepsOthers(t *testing.T) {
	const before = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: app\n"
	after := add(t, before, usual(Kata))
	for _, change := range [][2]string{
		{"  volumes:\n", "  volumes:\n  - name: mine\n    emptyDir: {}\n"},
		{"  annotations:\n", "  annotations:\n    a: b\n"},
		{"  initContainers:\n", "  initContainers:\n  - name: mine\n"},
	} {
		changed := strings.Replace(after, change[0], change[1], 1)
		want := strings.Replace(before, "spec:\n", "spec:\n"+change[1], 1)
		if strings.Contains(change[0], "annotations") {
			want = strings.Replace(before, "metadata:\n", "metadata:\n"+change[1], 1)
		}
		if got, err := Remove(changed, nil); err != nil || got != want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
}

// A tool that writes the file anew, as az confcom does, loses comments but not the record.
func TestRemoveAfterRewriting(t *testing.T) {
	for name, input := range inputs(t) {
		if strings.HasSuffix(name, ".json") || strings.Contains(input, "---") {
			continue
		}
		for _, p := range platformsOf(name) {
			rewritten, err := yaml.Marshal(decoded(t, add(t, input, usual(p))))
			if err != nil {
				t.Fatal(err)
			}
			without, err := Remove(string(rewritten), nil)
			if err != nil || !reflect.DeepEqual(full(decoded(t, without)), full(decoded(t, input))) {
				t.Errorf("%s on %s: %v\n%s", name, p, err, without)
			}
		}
	}
}

// full leaves out members that are empty or null, which mean the same to Kubernetes.
func full(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if value[name] = full(member); value[name] == nil {
				delete(value, name)
			}
		}
		if len(value) == 0 {
			return nil
		}
	case []any:
		for i := range value {
			value[i] = full(value[i])
		}
		if len(value) == 0 {
			return nil
		}
	}
	return value
}

// Only changes the objects that it names.
func TestOnly(t *testing.T) {
	text := inputs(t)["kinds.yaml"]
	o := usual(Kata)
	o.Only = []string{"Job/import"}
	after := add(t, text, o)
	if strings.Count(after, annotation) != 1 || strings.Count(add(t, text, usual(Kata)), annotation) < 4 {
		t.Errorf("not one object has the sidecar:\n%s", after)
	}
	o.Only = []string{"Job/imports"}
	if _, err := Add(text, o); err == nil || !strings.Contains(err.Error(), "no object is Job/imports") {
		t.Errorf("got %v", err)
	}
}

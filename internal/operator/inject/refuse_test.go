package inject

import (
	"strings"
	"testing"
)

const podStart = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n"

const groupStart = "type: Microsoft.ContainerInstance/containerGroups\nname: g\nproperties:\n"

// What is unknown or in the way is an error that says where, and nothing is written.
func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		text, want string
		platform   Platform
	}{
		{"", "the file has no objects", Kata},
		{"apiVersion: v1\nkind: Service\n", "nothing in it can have a sidecar: it has Service", Kata},
		{"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n",
			`Rollout "web" of "argoproj.io" runs containers, and its kind is unknown here`, Kata},
		{"apiVersion: batch.volcano.sh/v1\nkind: Job\nspec: {tasks: [{template: {spec: {containers: [{image: b}]}}}]}\n", "its kind is unknown here", Kata},
		{"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {template: {spec: {runtimeClassName: x}}}\n", "is not a whole manifest", Kata},
		{podStart + "  containers: [{name: skr, image: other}]\n", `has a container skr that skrctl inject did not add`, Kata},
		{podStart + "  runtimeClassName: gvisor\n  containers: [{name: a}]\n", `spec.runtimeClassName is "gvisor", and "kata-cc-isolation" is needed`, Kata},
		{podStart + "  volumes: [{name: skr-endorsement, emptyDir: {}}]\n  containers: [{name: a}]\n", "skr-endorsement is there already", Kata},
		{podStart + "  volumes: null\n  containers: [{name: a}]\n", "spec.volumes is null", Kata},
		{podStart + "  hostNetwork: true\n  containers: [{name: a}]\n", "every process of the node could ask skr for keys", CVM},
		{podStart + "  nodeSelector: {kubernetes.io/os: windows}\n  containers: [{name: a}]\n", "is for Windows", CVM},
		{podStart + "  containers:\n  - name: a\n    ports: [{containerPort: 8080}]\n", `line 7: Pod "a": container "a" listens on port 8080`, CVM},
		{podStart + "  containers: [{name: a}]\n", `has no volume "keys" for the sidecar`, "mount"},
		{podStart + "  containers: [{name: a}]\n", "name its platform", ""},
		{"apiVersion: apps/v1\nkind: DaemonSet\nspec: {template: {spec: {containers: [{name: a}]}}}\n", "virtual nodes run no DaemonSets", VirtualNodes},
		{groupStart + "  containers: [{name: a}]\n", "whose platform is aci", Kata},
		{groupStart + "  sku: Standard\n  containers: [{name: a}]\n", `properties.sku is "Standard", and "Confidential" is needed`, Group},
		{groupStart + "  osType: Windows\n  containers: [{name: a}]\n", "is for Windows", Group},
		{"identity: {type: UserAssigned, userAssignedIdentities: {other: {}}}\n" + groupStart + "  containers: [{name: a}]\n",
			"add it to userAssignedIdentities", Group},
		// What parsers read differently, or what stands in two places.
		{"apiVersion: v1\nkind: Pod\nmetadata: {labels: &l {a: b}, annotations: *l}\nspec: {containers: [{name: a}]}\n", "the anchor", Kata},
		{"apiVersion: v1\nkind: Pod\nx: &l {a: b}\nmetadata: {labels: *l}\nspec: {containers: [{name: a}]}\n", "an alias stands here", Kata},
		{"x: &m {a: b}\napiVersion: v1\nkind: Pod\nspec:\n  <<: *m\n  containers: [{name: a}]\n", "line 5: merge keys are not supported", Kata},
		{podStart + "  containers: [{name: a}]\n  containers: [{name: b}]\n", `line 6: member "containers" is duplicated`, Kata},
		{podStart + "\tcontainers: [{name: a}]\n", "YAML indents with spaces, and a line begins with a tab", Kata},
		{podStart + "  containers: !!seq [{name: a}]\n", "a tag stands here", "classic"},
		{"\xff\xfeP\x00o\x00", "save it as UTF-8", Kata},
		{"a: {b\n", "line", Kata},
		{"apiVersion: v1\nkind: ConfigMap\n---\n" + podStart + "  hostNetwork: true\n  containers: [{name: a}]\n", "document 2: line 8", CVM},
	} {
		o := usual(c.platform)
		switch c.platform {
		case "mount":
			o = usual(CVM)
			o.Mounts = []Mount{{"keys", "/keys"}}
		case "classic":
			o = usual(Kata)
			o.Classic = true
		}
		if result, err := Add(c.text, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n: %v, want %q; result %+v", c.text, err, c.want, result)
		}
	}
	if _, err := Remove(podStart+"  containers: [{name: a}]\n", nil); err == nil || !strings.Contains(err.Error(), "nothing can be removed") {
		t.Errorf("removing from a file without a sidecar: %v", err)
	}
	if _, err := Remove("apiVersion: v1\nkind: Pod\nmetadata: {annotations: {skr/injected: x}}\nspec: {containers: []}\n", nil); err == nil {
		t.Error("a damaged record is used")
	}
}

// What is there already and equal stays, and Remove leaves it.
func TestKeepsEqual(t *testing.T) {
	const before = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {azure.workload.identity/use: 'true'}\nspec:\n" +
		"  runtimeClassName: kata-cc-isolation\n  containers: [{name: a}]\n"
	after := add(t, before, usual(Kata))
	if strings.Count(after, "runtimeClassName") != 1 || strings.Count(after, "workload.identity/use") != 1 {
		t.Errorf("it is there twice:\n%s", after)
	}
	if got, err := Remove(after, nil); err != nil || got != before {
		t.Errorf("%v\n%s", err, got)
	}
}

// Values of an ARM template that begin with "[" are expressions, and Kubernetes expands "$(": both are escaped.
func TestEscapes(t *testing.T) {
	o := usual(Group)
	group := add(t, inputs(t)["group.json"], o)
	if !strings.Contains(group, `"value": "[[{\"name\":\"app\"}]"`) || !strings.Contains(group, `"value": "{\"orders\"`) {
		t.Errorf("%s", group)
	}
	o = usual(Kata)
	o.Settings = []Variable{{"SKR_CA_FILE", "$(HOME)/ca.pem"}}
	if pod := add(t, inputs(t)["pod.json"], o); !strings.Contains(pod, `"$$(HOME)/ca.pem"`) {
		t.Errorf("%s", pod)
	}
}

// Notes name the object, the next commands, and an execution policy that is out of date.
func TestNotes(t *testing.T) {
	old := podStart + "  containers: [{name: a}]\n"
	old = strings.Replace(old, "{name: a}\nspec", "{name: a, annotations: {io.katacontainers.config.agent.policy: cGFja2FnZQ==}}\nspec", 1)
	o := usual(Kata)
	o.File, o.Identity = "a b.yaml", ""
	result, err := Add(old, o)
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(result.Notes, "\n")
	for _, want := range []string{`changed: Pod "a": container skr is added as a native sidecar`, "does not cover what changed: generate it again",
		"no identity is added", "az confcom katapolicygen --yaml 'a b.yaml'", "skrctl measure 'a b.yaml'"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
	if again, err := Add(result.Text, o); err != nil || again.Changed != 0 || len(again.Notes) != 0 {
		t.Errorf("nothing changed, and the notes say %q, %v", again.Notes, err)
	}
}

// FuzzRoundTrip checks for every text that can have a sidecar that it is restored.
func FuzzRoundTrip(f *testing.F) {
	for _, text := range []string{
		podStart + "  containers: [{name: a}]\n", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"spec\": {\"containers\": [ {\"name\":\"\u2028\"}]}}",
		podStart + "  containers:\n   # c\n   - name: a\n  # d\n...\n", groupStart + "  containers:\n  - name: a # b\n\n",
		"apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      -\n        name: a\n      volumes:",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := usual(Group)
		result, err := Add(text, o)
		if err != nil {
			return
		}
		before, err := Remove(result.Text, nil)
		if err != nil {
			t.Fatalf("%v: %q", err, result.Text)
		}
		if _, err := Remove(text, nil); err != nil && before != text {
			t.Fatalf("%q becomes %q", text, before)
		}
		if again, err := Add(result.Text, o); err != nil || again.Text != result.Text {
			t.Fatalf("adding twice to %q: %v", text, err)
		}
	})
}

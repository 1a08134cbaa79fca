package migrate

import (
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const root = "../../../"

// sources are the manifests of the project and those that resemble the reference's examples.
var sources = map[string]string{
	"consumer": root + "deploy/kafka/consumer.yaml", "kustomize": root + "deploy/kustomize/aks-kata/patch.yaml",
	"reference": "testdata/reference.yaml", "kinds": "testdata/kinds.yaml",
}

var targets = []Target{VirtualNodes, CVM, CoCo}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The manifests and notes of each source and target match their golden files, which are reviewed by hand.
func TestGolden(t *testing.T) {
	for name, path := range sources {
		for _, to := range targets {
			t.Run(name+"-"+string(to), func(t *testing.T) {
				result, err := Manifests(read(t, path), Options{To: to, File: "new.yaml"})
				if err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", "golden", name+"-"+string(to))
				compare(t, golden+".yaml", string(result.Manifests))
				compare(t, golden+".txt", lines(result.Notes))
				if strings.Contains(string(result.Manifests), "kata-cc") && result.Left == 0 {
					t.Error("the result names kata-cc")
				}
			})
		}
	}
}

func lines(notes []Note) string {
	var all strings.Builder
	for _, note := range notes {
		all.WriteString(note.String() + "\n")
	}
	return all.String()
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, path)), got); diff != "" {
		t.Errorf("%s (-golden +got):\n%s", path, diff)
	}
}

func migrated(t *testing.T, text string, o Options) (string, string) {
	t.Helper()
	result, err := Manifests([]byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return string(result.Manifests), lines(result.Notes)
}

const small = `kind: Pod
metadata:
  name: a
  labels:
    azure.workload.identity/use: "true"
spec:
  runtimeClassName: kata-cc-isolation
  containers:
    - name: app
      image: app
    - name: skr
      image: skr
`

// What is migrated once has nothing of kata-cc left.
func TestTwice(t *testing.T) {
	for _, to := range targets {
		once, _ := migrated(t, small, Options{To: to})
		if _, err := Manifests([]byte(once), Options{To: to}); err == nil || !strings.Contains(err.Error(), "no pod of kata-cc") {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       Options
		has     string
		lacks   string
		notes   string
		missing string
	}{
		{"identity", Options{To: VirtualNodes, Identity: "/subscriptions/s/i"}, "microsoft.containerinstance.virtualnode.identity: /subscriptions/s/i",
			"azure.workload.identity", "workload identity (label azure.workload.identity/use) becomes", "federated"},
		{"workload identity", Options{To: VirtualNodes}, `azure.workload.identity/use: "true"`, "virtualnode.identity", "federated-credential create", "becomes"},
		{"image", Options{To: CVM, Image: "registry.example/skr:2"}, "image: registry.example/skr:2", "image: skr", "image skr becomes registry.example/skr:2", ""},
		{"native", Options{To: VirtualNodes, Sidecar: Native}, "  initContainers:\n    - name: skr\n      image: skr\n", "      image: app\n    - name: skr",
			"it is a native sidecar", ""},
		{"native waits", Options{To: CVM, Sidecar: Native}, "restartPolicy: Always\n      startupProbe: {exec: {command: [/bin/skr, healthcheck]}",
			"httpGet", "", ""},
		{"native reference", Options{To: VirtualNodes, Sidecar: Native, Image: "mcr.microsoft.com/aci/skr:2.12"}, "restartPolicy: Always",
			"startupProbe", "", "VN2_THIM_ENDPOINT"},
		{"quoted", Options{To: VirtualNodes, File: "it's a pod.yaml"}, "", "it's", `acipolicygen --virtual-node-yaml 'it'\''s a pod.yaml'`, ""},
	} {
		text, notes := migrated(t, small, c.o)
		if !strings.Contains(text, c.has) || c.lacks != "" && strings.Contains(text, c.lacks) {
			t.Errorf("%s: want %q and not %q:\n%s", c.name, c.has, c.lacks, text)
		}
		if !strings.Contains(notes, c.notes) || c.missing != "" && strings.Contains(notes, c.missing) {
			t.Errorf("%s: want %q and not %q:\n%s", c.name, c.notes, c.missing, notes)
		}
	}
}

// A native sidecar becomes plain, and the list of init containers goes with its last item.
func TestPlain(t *testing.T) {
	native, _ := migrated(t, small, Options{To: CVM, Sidecar: Native})
	again := strings.Replace(native, "spec:\n", "spec:\n  runtimeClassName: kata-cc-isolation\n", 1)
	plain, notes := migrated(t, again, Options{To: VirtualNodes, Sidecar: Plain})
	if strings.Contains(plain, "initContainers") || strings.Contains(plain, "restartPolicy") || !strings.Contains(plain, "  containers:\n    - name: skr\n") {
		t.Errorf("%s", plain)
	}
	if !strings.Contains(notes, "it is an ordinary container") {
		t.Error(notes)
	}
}

func TestRefused(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	bomb := "a: &a [x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 8), ",") + "]\n"
	}
	for want, input := range map[string]string{
		"no pod of kata-cc is in them":       "kind: Pod\nspec: {containers: []}\n",
		"line 2: member \"kind\" is dup":     "kind: Pod\nkind: Pod\n",
		"merge keys are not supported":       "kind: Pod\nspec:\n  <<: {a: b}\n",
		"the name of a member must be":       "{[a]: b}\n",
		"nested deeper than 100":             deep,
		"have more than 262144 values":       bomb,
		"line 1: did not find expected":      "{",
		"more than 1000 documents":           strings.Repeat("---\na: b\n", 1001),
		"reading the manifests: no pod of k": "",
	} {
		if _, err := Manifests([]byte(input), Options{To: CVM}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", input, err, want)
		}
	}
}

// The arguments of the sidecar lose a certificate cache at the node's metadata service, and nothing else.
func TestWithoutCache(t *testing.T) {
	const cache = `"certcache":{"endpoint_type":"LocalTHIM","endpoint":"169.254.169.254/metadata/THIM/amd/certification"}`
	for args, want := range map[string]string{
		"{\n \t" + cache + "\n}\n":                                           "removed",
		`{` + cache + `,"maaconfig":{"user_agent":"a"}}`:                     `{"maaconfig":{"user_agent":"a"}}`,
		`{"CertCache":{"endpoint":"http://169.254.169.254"}}`:                "removed",
		`{"certcache":{"endpoint_type":"AMD","endpoint":"kdsintf.amd.com"}}`: "kept",
		`{"identity":{"client_id":"1"}}`:                                     "kept",
		`{` + cache + `,` + cache + `}`:                                      "kept",
		`[]`:                                                                 "kept",
		`prose`:                                                              "kept",
	} {
		rest, found := withoutCache(base64.StdEncoding.EncodeToString([]byte(args)))
		got, _ := base64.StdEncoding.DecodeString(rest)
		switch {
		case !found:
			got = []byte("kept")
		case rest == "":
			got = []byte("removed")
		}
		if string(got) != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	if _, found := withoutCache("%"); found {
		t.Error("what is not base64 is edited")
	}
}

// An alias has its own copy: an edit does not reach the place that it was copied from.
func TestAliases(t *testing.T) {
	text, _ := migrated(t, "kind: Pod\nmetadata: {name: a, annotations: &all {io.katacontainers.config.agent.policy: eA==, keep: b}}\n"+
		"spec: {runtimeClassName: kata-cc, containers: [{name: a, image: a}]}\nstatus: {copy: *all}\n", Options{To: CVM})
	if strings.Contains(text, "*all") || strings.Count(text, "agent.policy: eA==") != 1 || !strings.Contains(text, "annotations: {keep: b}") {
		t.Error(text)
	}
}

// Any text is refused, or migrated into text that has nothing of kata-cc that can be migrated.
func FuzzManifests(f *testing.F) {
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(small))
	f.Add([]byte("kind: List\nitems: [{kind: Pod, spec: {runtimeClassName: kata-cc, volumes: {}, containers: null, nodeSelector: []}}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, to := range targets {
			result, err := Manifests(text, Options{To: to, Sidecar: Native, Identity: "i", Image: "m"})
			if err != nil || result.Left > 0 {
				continue
			}
			if _, err := Manifests(result.Manifests, Options{To: to}); err == nil {
				t.Fatalf("a pod of kata-cc is left in %q", result.Manifests)
			} else if !strings.Contains(err.Error(), "no pod of kata-cc") {
				t.Fatalf("%v in %q", err, result.Manifests)
			}
		}
	})
}

package apiserver

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// levels are the levels of pod security, the strictest first.
var levels = []string{"restricted", "baseline", "privileged"}

// installation is what an operator installs into one namespace.
type installation struct {
	name string
	// rows are the rows of the table in docs/deployment.md that apply.
	rows []string
	// text returns the manifests for a namespace.
	text func(t *testing.T, namespace string) string
	// accounts creates the service accounts that the pods name and the manifests lack.
	accounts bool
	// token admits a token for the API in the pods.
	token bool
}

// TestInstall installs everything: each platform and each value of the chart, the plain
// manifests, the Kustomize components, and what skrctl inject makes.
func TestInstall(t *testing.T) {
	documented, used := documentedLevels(t), map[string]bool{}
	all := slices.Concat(charts(t), manifests(t), injections(t))
	for _, i := range all {
		level := levels[0]
		for _, row := range i.rows {
			used[row] = true
			if documented[row] == "" {
				t.Fatalf("%s: docs/deployment.md, Pod security, has no row %q", i.name, row)
			}
			level = levels[max(slices.Index(levels, level), slices.Index(levels, documented[row]))]
		}
		t.Run(i.name, func(t *testing.T) { i.install(t, level) })
	}
	for row := range documented {
		if !used[row] {
			t.Errorf("docs/deployment.md, Pod security: no test installs %q", row)
		}
	}
}

var row = regexp.MustCompile("(?m)^\\| (.+?) \\| `(restricted|baseline|privileged)` \\|")

// documentedLevels returns the levels of pod security that docs/deployment.md tells the
// operator, by what the operator installs.
func documentedLevels(t *testing.T) map[string]string {
	t.Helper()
	_, section, found := strings.Cut(read(t, root+"/docs/deployment.md"), "\n### Pod security\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(section, -1) {
		documented[match[1]] = match[2]
	}
	if !found || len(documented) < 8 {
		t.Fatalf("docs/deployment.md, Pod security, has %d rows", len(documented))
	}
	return documented
}

// install creates the objects and their pods in a namespace of the level. Each pod must be
// admitted there, and one must need the level.
func (i installation) install(t *testing.T, level string) {
	pods, needing := i.create(t, newNamespace(t, level), level)
	if level != levels[0] && needing == 0 {
		t.Errorf("level %s is documented, but all of %d pods are admitted at a stricter one", level, pods)
	}
}

// create creates the objects and their pods. It returns the number of pods, and how many of
// them need the level.
func (i installation) create(t *testing.T, namespace, level string) (count, needing int) {
	t.Helper()
	found, err := documents(i.text(t, namespace))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range found {
		pod := document
		if kindOf(t, document) != "Pod" {
			if err := cluster.create(t.Context(), document, namespace, nil); err != nil {
				t.Errorf("%v\n%s", err, document)
			}
			pod = podOf(t, document)
		}
		if pod == "" {
			continue
		}
		count++
		if i.admit(t, namespace, level, pod) {
			needing++
		}
	}
	return count, needing
}

// admit creates a pod, and reports whether the next stricter level refuses it.
func (i installation) admit(t *testing.T, namespace, level, pod string) bool {
	t.Helper()
	if name := account(t, pod); i.accounts && name != "default" {
		makeAccount(t, namespace, name)
	}
	answer, err := cluster.created(t.Context(), pod, namespace, nil)
	if err != nil {
		t.Errorf("%v\n%s", err, pod)
		return false
	}
	if mounted := tokens(t, answer); len(mounted) > 0 && !i.token {
		t.Errorf("the pod has a token for the API, in %v: set automountServiceAccountToken to false\n%s", mounted, pod)
	}
	if level == levels[0] {
		return false
	}
	stricter := levels[slices.Index(levels, level)-1]
	return isRefused(t, pod, stricter)
}

// isRefused reports whether pod security refuses a pod in a namespace of the level. Other
// errors fail the test.
func isRefused(t *testing.T, pod, level string) bool {
	t.Helper()
	namespace := newNamespace(t, level)
	if name := account(t, pod); name != "default" {
		makeAccount(t, namespace, name)
	}
	pod = placed(pod, namespace)
	err := cluster.create(t.Context(), pod, namespace, url.Values{"dryRun": {"All"}})
	if err != nil && !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Errorf("%v\n%s", err, pod)
	}
	return err != nil
}

// namespaces counts the namespaces of this run.
var namespaces atomic.Int64

// newNamespace creates a namespace that enforces a level of pod security. Its service account
// "default" is what the controller manager would create.
func newNamespace(t *testing.T, level string) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", namespaces.Add(1))
	const text = `apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels: {pod-security.kubernetes.io/enforce: %s, pod-security.kubernetes.io/enforce-version: latest}
`
	if err := cluster.create(t.Context(), fmt.Sprintf(text, name, level), "", nil); err != nil {
		t.Fatal(err)
	}
	makeAccount(t, name, "default")
	return name
}

var namespaceLine = regexp.MustCompile(`(?m)^(  namespace:) \S+$`)

// placed returns manifests with another namespace. All else stays as it is written.
func placed(text, namespace string) string {
	return namespaceLine.ReplaceAllString(text, "${1} "+namespace)
}

// makeAccount creates a service account unless it exists.
func makeAccount(t *testing.T, namespace, name string) {
	t.Helper()
	err := cluster.create(t.Context(), "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: "+name+"}\n", namespace, nil)
	if err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package release

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestActionsArePinned checks that workflows name each action by its commit, because its owner can
// move a tag, and that the version is beside it for readers.
func TestActionsArePinned(t *testing.T) {
	workflows, err := filepath.Glob(root + ".github/workflows/*.yml")
	if err != nil || len(workflows) < 3 {
		t.Fatalf("%d workflows, %v", len(workflows), err)
	}
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	commits := map[string]string{}
	for _, workflow := range workflows {
		text := read(t, filepath.Join(".github/workflows", filepath.Base(workflow)))
		for _, match := range regexp.MustCompile(`(?m)uses: *(.*?) *$`).FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(match[1]) {
				t.Errorf("%s: %q is not pinned to a commit with its version in a comment", filepath.Base(workflow), match[1])
			}
			action, commit, _ := strings.Cut(match[1], "@")
			if other := commits[action]; other != "" && other != commit {
				t.Errorf("%s is used as %s and as %s", action, commit, other)
			}
			commits[action] = commit
		}
	}
	if len(commits) < 5 {
		t.Errorf("only %d actions were found", len(commits))
	}
}

// TestQuickJobSkips checks that the job that installs no programs lets their tests skip. GitHub sets
// CI to true.
func TestQuickJobSkips(t *testing.T) {
	checks := read(t, ".github/workflows/checks.yml")
	if !regexp.MustCompile(`- run: make check\n +env:\n +CI: ""`).MatchString(checks) {
		t.Error("checks.yml runs make check with CI set, but without the programs that tests then need")
	}
}

// TestGoreleaserIsOne checks that the release is made by the version that make release-check uses.
func TestGoreleaserIsOne(t *testing.T) {
	local := regexp.MustCompile(`goreleaser/v2@(v[\d.]+)`).FindStringSubmatch(read(t, "Makefile"))
	remote := regexp.MustCompile(`version: (v[\d.]+)`).FindStringSubmatch(read(t, ".github/workflows/release.yml"))
	if local == nil || remote == nil || local[1] != remote[1] {
		t.Errorf("the Makefile uses goreleaser %v, the workflow %v", local, remote)
	}
}

// TestRenovate checks that Renovate finds the tools whose versions are in no go.mod, by the path of
// their module.
func TestRenovate(t *testing.T) {
	var config struct {
		CustomManagers []struct {
			ManagerFilePatterns []string
			MatchStrings        []string
			DepNameTemplate     string
		}
	}
	if err := json.Unmarshal([]byte(read(t, "renovate.json")), &config); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range []string{"Makefile", ".ci/run", ".github/workflows/release.yml"} {
		for _, manager := range config.CustomManagers {
			if !regexp.MustCompile(strings.Trim(manager.ManagerFilePatterns[0], "/")).MatchString(file) {
				continue
			}
			expression := regexp.MustCompile(manager.MatchStrings[0])
			for _, match := range expression.FindAllStringSubmatch(read(t, file), -1) {
				name := manager.DepNameTemplate
				if i := expression.SubexpIndex("depName"); i >= 0 {
					name = match[i]
				}
				found[file+" "+name+" "+match[expression.SubexpIndex("currentValue")]] = true
			}
		}
	}
	listed := map[string]string{
		"Makefile": `(?:github\.com|golang\.org|helm\.sh)/\S+@(v\d[\w.-]*)`, ".ci/run": `helm\S+@(v\d[\w.-]*)`,
		".github/workflows/release.yml": `(?:version|cosign-release): (v\d\S*)`,
	}
	for file, tool := range listed {
		tools := regexp.MustCompile(tool).FindAllStringSubmatch(read(t, file), -1)
		if len(tools) == 0 {
			t.Errorf("%s names no tool", file)
		}
		for _, match := range tools {
			if !hasVersion(found, file, match[1]) {
				t.Errorf("%s: Renovate does not find %s", file, match[0])
			}
		}
	}
	for _, want := range []string{
		"Makefile github.com/golangci/golangci-lint/v2 ", "Makefile github.com/rhysd/actionlint ", "Makefile golang.org/x/vuln ",
		"Makefile github.com/goreleaser/goreleaser/v2 ", ".ci/run helm.sh/helm/v3 ", ".github/workflows/release.yml github.com/sigstore/cosign/v3 ",
	} {
		if !hasPrefix(found, want) {
			t.Errorf("Renovate does not know %s, but %v", want, found)
		}
	}
}

func hasVersion(found map[string]bool, file, version string) bool {
	for tool := range found {
		if strings.HasPrefix(tool, file+" ") && strings.HasSuffix(tool, " "+version) {
			return true
		}
	}
	return false
}

func hasPrefix(found map[string]bool, prefix string) bool {
	for tool := range found {
		if strings.HasPrefix(tool, prefix) {
			return true
		}
	}
	return false
}

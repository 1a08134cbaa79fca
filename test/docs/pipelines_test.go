//go:build linux

package docs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"skr/test/emulator"
	"skr/test/emulator/entra"
	"skr/test/program"
)

// TestPipelines runs the examples of docs/rollouts-ci.md: each script of GitHub and of GitLab, as
// the runner would, with the token of a pipeline that the emulated Entra ID trusts.
func TestPipelines(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/docs/rollouts-ci.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d examples in YAML, want the inventory and two pipelines", len(blocks))
	}
	for name, c := range map[string]struct {
		issuer, subject string
		steps           []string
	}{
		"github": {"https://token.actions.githubusercontent.com", "repo:contoso/orders:ref:refs/heads/main", githubSteps(t, blocks[1][1])},
		"gitlab": {"https://gitlab.com", "project_path:contoso/orders:ref_type:branch:ref:main", gitlabSteps(t, blocks[2][1])},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t, c.issuer, c.subject, blocks[0][1])
			p.deployed("package one\n")
			p.run(c.steps, 3)
			p.allows("package one\n")
			p.deployed("package two\n")
			p.run(c.steps[:1], 1) // between the steps, both versions get the key
			p.allows("package one\n", "package two\n")
			p.run(c.steps, 3)
			p.allows("package two\n")
		})
	}
}

// githubSteps returns the scripts of the only job.
func githubSteps(t *testing.T, text string) (steps []string) {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct{ Steps []struct{ Run string } }
	}
	if err := yaml.Unmarshal([]byte(text), &workflow); err != nil {
		t.Fatal(err)
	}
	for _, step := range workflow.Jobs["deploy"].Steps {
		if step.Run != "" {
			steps = append(steps, step.Run)
		}
	}
	return steps
}

// gitlabSteps returns the scripts of the jobs in the order of the stages.
func gitlabSteps(t *testing.T, text string) (steps []string) {
	t.Helper()
	var jobs map[string]json.RawMessage
	if err := yaml.Unmarshal([]byte(text), &jobs); err != nil {
		t.Fatal(err)
	}
	type job struct {
		Extends      string
		BeforeScript []string `json:"before_script"`
		Script       []string
	}
	var stages []string
	if err := json.Unmarshal(jobs["stages"], &stages); err != nil {
		t.Fatal(err)
	}
	for _, stage := range stages {
		var own, base job
		if err := json.Unmarshal(jobs[stage], &own); err != nil {
			t.Fatal(err)
		}
		if own.Extends != "" {
			if err := json.Unmarshal(jobs[own.Extends], &base); err != nil {
				t.Fatal(err)
			}
		}
		steps = append(steps, strings.Join(append(base.BeforeScript, own.Script...), "\n"))
	}
	return steps
}

// pipeline is a checked-out repository with the environment of a runner.
type pipeline struct {
	*testing.T
	dir, vault string
	env        []string
}

func newPipeline(t *testing.T, issuer, subject, inventory string) *pipeline {
	t.Helper()
	dir := t.TempDir()
	tokens, err := entra.NewCluster(issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	trusted := tokens.Trust(subject)
	socket, err := os.MkdirTemp("", "skr-") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(socket) })
	cloud, err := emulator.Start(context.Background(), emulator.Config{Dir: socket, Federation: &trusted,
		Machine: emulator.MachineConfig{Platform: emulator.AKSKata}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	p := &pipeline{T: t, dir: dir, vault: cloud.Host("contoso", "vault")}
	authority := cloud.Host("sharedweu.weu", "attest")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`,
		authority, hostData("package one\n"))
	if _, err := cloud.CreateKey(t.Context(), p.vault, emulator.KeySpec{Name: "orders", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	assertion, err := tokens.Assertion(subject)
	if err != nil {
		t.Fatal(err)
	}
	github := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-job" || r.URL.Query().Get("audience") != entra.DefaultAudience {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"count":1,"value":"`+assertion+`"}`)
	}))
	t.Cleanup(github.Close)
	p.env = append(append(cloud.Environment(cloud.Machine()), cloud.Application()...),
		"PATH="+filepath.Join(dir, "bin")+":"+program.Directory()+":"+os.Getenv("PATH"), "RUNNER_TEMP="+t.TempDir(), "TMPDIR="+t.TempDir(),
		"ACTIONS_ID_TOKEN_REQUEST_URL="+github.URL+"/?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-job", "AZURE_TOKEN="+assertion,
		"SKR_IMDS_URL=http://127.0.0.1:1")
	p.write("deploy/inventory.yaml", inventory)
	p.write("bin/kubectl", "#!/bin/sh\necho kubectl \"$@\"\n")
	return p
}

func (p *pipeline) write(name, text string) {
	p.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		p.Fatal(err)
	}
}

// deployed writes the manifest of a version.
func (p *pipeline) deployed(policy string) {
	p.write("deploy/orders.yaml", "kind: Deployment\nmetadata: {name: orders}\nspec:\n  template:\n    metadata:\n      annotations:\n"+
		"        io.katacontainers.config.agent.policy: "+base64.StdEncoding.EncodeToString([]byte(policy))+"\n")
}

// run runs scripts, each in a shell of its own, as runners do.
func (p *pipeline) run(steps []string, want int) {
	p.Helper()
	if len(steps) != want {
		p.Fatalf("%d steps, want %d", len(steps), want)
	}
	for _, step := range steps {
		if out, err := p.shell(step); err != nil {
			p.Fatalf("%s\n%v\n%s", step, err, out)
		}
	}
}

func (p *pipeline) shell(script string) (string, error) {
	cmd := exec.CommandContext(p.Context(), "sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = p.dir, p.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func hostData(policy string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(policy))) }

// allows checks which measurements the key allows.
func (p *pipeline) allows(policies ...string) {
	p.Helper()
	out, err := p.shell(`export AZURE_FEDERATED_TOKEN_FILE="$(mktemp)"
printf %s "$AZURE_TOKEN" >"$AZURE_FEDERATED_TOKEN_FILE"
skrctl key policy show orders --vault contoso --output json 2>&1`)
	if err != nil {
		p.Fatalf("%v\n%s", err, out)
	}
	for _, policy := range policies {
		if !strings.Contains(out, `"value":"`+hostData(policy)+`"`) {
			p.Errorf("%q is not allowed: %s", policy, out)
		}
	}
	if n := strings.Count(out, `"value":"`); n != len(policies) {
		p.Errorf("%d measurements are allowed, want %d: %s", n, len(policies), out)
	}
}

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	root  = "../.."
	chart = root + "/deploy/helm/skr"
)

// programs are the paths of what the tests run, and the version of the API server.
type programs struct{ etcd, api, helm, skrctl, version string }

// build builds the programs in bin/apiserver of the project. The go command links only what
// changed since the last run.
func build(ctx context.Context) (p programs, err error) {
	dir, err := filepath.Abs(root + "/bin/apiserver")
	if err != nil {
		return p, err
	}
	p = programs{etcd: dir + "/etcd", api: dir + "/kube-apiserver", helm: os.Getenv("HELM"), skrctl: dir + "/skrctl"}
	if p.version, err = output(ctx, "go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"); err != nil {
		return p, err
	}
	steps := [][]string{
		{"go", "build", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", p.etcd, "go.etcd.io/etcd/server/v3"},
		{"go", "build", "-tags", "grpcnotrace", "-ldflags", "-s -w " + versionFlags(p.version), "-o", p.api, "k8s.io/kubernetes/cmd/kube-apiserver"},
		{"go", "build", "-C", root, "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", p.skrctl, "./cmd/skrctl"},
	}
	if p.helm == "" {
		helm, err := helmVersion()
		if err != nil {
			return p, err
		}
		p.helm = dir + "/helm"
		steps = append(steps, []string{"env", "GOBIN=" + dir, "go", "install", helm})
	}
	for _, step := range steps {
		if _, err := output(ctx, step[0], step[1:]...); err != nil {
			return p, err
		}
	}
	return p, nil
}

// helmVersion returns the command and version of Helm that .ci/run installs.
func helmVersion() (string, error) {
	script, err := os.ReadFile(root + "/.ci/run")
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`helm\.sh/\S+@v\S+`).Find(script)
	if found == nil {
		return "", errors.New(".ci/run installs no Helm: set HELM to the program")
	}
	return string(found), nil
}

// versionFlags returns the linker's flags for the version that the API server reports. Helm
// compares it with the chart's kubeVersion.
func versionFlags(version string) string {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	const name = "-X k8s.io/component-base/version."
	return name + "gitVersion=" + version + " " + name + "gitMajor=" + parts[0] + " " + name + "gitMinor=" + parts[1]
}

// An interrupt ends the programs that run. The end of the run then locks running, so that it
// waits for them, and none begins.
var (
	interrupted = context.Background()
	running     sync.RWMutex
	started     = func(int) {} // called with the process id of each
)

// output runs a program and returns what it prints. Its errors contain what it prints on
// standard error.
func output(ctx context.Context, name string, args ...string) (string, error) {
	return outputWith(ctx, "", name, args...)
}

func outputWith(ctx context.Context, input, name string, args ...string) (string, error) {
	running.RLock()
	defer running.RUnlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(interrupted, cancel)()
	cmd := exec.CommandContext(ctx, name, args...)
	// The go command removes its files when it is interrupted, but not when it is killed.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, 10*time.Second
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdin = strings.NewReader(input)
	var out, told strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &told
	err := cmd.Start()
	if err == nil {
		started(cmd.Process.Pid)
		err = cmd.Wait()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", cmd, err, &told, &out)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/test/tool"
)

const (
	demoImage = "localhost/kafka-demo:test"
	skrImage  = "localhost/skr:test"
)

// containersConf makes podman work inside a container, which cannot raise the
// kernel's limits (containers.conf(5)).
const containersConf = "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=1024:1024\"]\n[engine]\nruntime=\"runc\"\n"

// engine is podman with its own storage, which holds the images.
type engine struct{ dir string }

var newEngine = sync.OnceValues(func() (*engine, error) {
	dir := filepath.Join(filepath.Dir(programs.Skr), "podman") // TestMain removes it
	e := &engine{dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(e.conf(), []byte(containersConf), 0o600); err != nil {
		return nil, err
	}
	return e, e.buildImages()
})

func startEngine(t *testing.T) *engine {
	t.Helper()
	for _, name := range []string{"podman", "buildah", "runc", "catatonit"} {
		tool.Need(t, name, name)
	}
	if os.Geteuid() != 0 {
		tool.Missing(t, "root, for pods with the host's network and another user's files,", "run the tests as root")
	}
	e, err := newEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *engine) conf() string { return filepath.Join(e.dir, "containers.conf") }

// run runs podman or buildah and returns its output.
func (e *engine) run(ctx context.Context, program string, args ...string) (string, error) {
	storage := []string{"--root", filepath.Join(e.dir, "root"), "--runroot", filepath.Join(e.dir, "run"), "--storage-driver", "vfs"}
	cmd := exec.CommandContext(ctx, program, append(storage, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+e.conf())
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = &commandError{program + " " + strings.Join(args, " "), string(out), err}
	}
	return string(out), err
}

type commandError struct {
	command, out string
	err          error
}

func (e *commandError) Error() string { return e.command + ": " + e.err.Error() + "\n" + e.out }

func (e *engine) buildImages() error {
	demo, skr := filepath.Join(e.dir, "demo"), filepath.Join(e.dir, "skr")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", demo+"/", "./cmd/consume", "./cmd/produce")
	build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return &commandError{"go build", string(out), err}
	}
	if err := os.MkdirAll(skr, 0o755); err != nil {
		return err
	}
	if err := os.Link(programs.Skr, filepath.Join(skr, "skr")); err != nil {
		return err
	}
	for _, image := range [][]string{{"../Containerfile", demoImage, demo}, {"testdata/skr.Containerfile", skrImage, skr}} {
		if _, err := e.run(context.Background(), "buildah", "build", "--isolation", "chroot", "-f", image[0], "-t", image[1], image[2]); err != nil {
			return err
		}
	}
	return nil
}

// play runs the pods of a file until the test ends.
func (e *engine) play(t *testing.T, file, pod string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if t.Failed() {
			out, _ := e.run(ctx, "podman", "pod", "logs", pod)
			t.Logf("%s:\n%s", pod, out)
		}
		if out, err := e.run(ctx, "podman", "pod", "rm", "--force", "--time", "5", pod); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if _, err := e.run(t.Context(), "podman", "kube", "play", file); err != nil {
		t.Fatal(err)
	}
}

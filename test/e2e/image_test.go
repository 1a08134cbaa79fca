package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
)

// The image as the Dockerfile lays it out, run as its user in a root that holds
// nothing else. Where this process may not change its root, it is skipped.
func TestImageLayout(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing the root directory needs root")
	}
	cloud := program.Cloud(t, emulator.Config{})
	root := layOut(t)
	for _, argv := range [][]string{{"/bin/skr"}, {"/skr.sh"}, {"/bin/sh", "-c", "/skr.sh"}} {
		t.Run(strings.Join(argv, " "), func(t *testing.T) {
			address := program.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			log := new(program.Output)
			process := &exec.Cmd{
				Path: argv[0], Args: argv, Dir: "/", Stderr: log,
				Env: []string{"Port=" + port, "SKR_IMDS_URL=" + cloud.IMDSURL()},
				SysProcAttr: &syscall.SysProcAttr{
					Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
				},
			}
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
			listening(t, &sidecar{address: address})
			eventually(t, "the log says what is missing", func() bool {
				return strings.Contains(log.String(), "/dev/sev-guest (not present)")
			})
		})
	}
}

// layOut runs what the Dockerfile's build stage runs after compiling.
func layOut(t *testing.T) string {
	t.Helper()
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "image")
	for _, dir := range []string{root, filepath.Dir(root), filepath.Dir(filepath.Dir(root))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { // user 65532 must pass
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(program.Path("skr"), filepath.Join(root, "bin/skr")); err != nil {
		copyFile(t, program.Path("skr"), filepath.Join(root, "bin/skr"))
	}
	links := regexp.MustCompile(`ln -s (\S+) /image(\S+)`).FindAllStringSubmatch(string(dockerfile), -1)
	if len(links) != 2 {
		t.Fatalf("the Dockerfile makes %d links, want 2", len(links))
	}
	for _, link := range links {
		if err := os.Symlink(link[1], filepath.Join(root, link[2])); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// What the image promises stands in the Dockerfile.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, found := strings.Cut(string(text), "\nFROM scratch\n")
	if !found {
		t.Fatal("the final stage is not FROM scratch")
	}
	for _, line := range []string{"COPY --from=build /image/ /", "USER 65532:65532", `ENTRYPOINT ["/bin/skr"]`} {
		if !strings.Contains(final, line) {
			t.Errorf("the final stage lacks %s", line)
		}
	}
	for _, need := range []string{"CGO_ENABLED=0", "-tags grpcnotrace", "-trimpath", "ARG BUILDER="} {
		if !strings.Contains(string(text), need) {
			t.Errorf("the Dockerfile lacks %s", need)
		}
	}
}

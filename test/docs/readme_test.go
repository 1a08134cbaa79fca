package docs

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const root = "../.."

// The commands of the README work as they stand there. The port is exchanged
// for a free one, and what make would build is built first.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("the README has %d blocks of commands, want 1", len(blocks))
	}
	dir, port := t.TempDir(), freePort(t)
	build(t, filepath.Join(dir, "bin"))
	script := strings.ReplaceAll(blocks[0][1], "8080", port)
	script = strings.Replace(script, "make build\n", "", 1)
	out := runScript(t, dir, "export Port="+port+"\n"+script)
	if !strings.Contains(out, `{"key":"{`) || !strings.Contains(out, `\"kty\":\"RSA\"`) {
		t.Errorf("no key was released:\n%.2000s", out)
	}
}

func TestReadmeFitsOneScreen(t *testing.T) {
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 64 {
		t.Errorf("the README has %d lines", lines)
	}
}

// Links between documents lead somewhere.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	top, _ := filepath.Glob(root + "/*.md")
	decisions, _ := filepath.Glob(root + "/docs/decisions/*.md")
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	checked := 0
	for _, document := range append(append(documents, top...), decisions...) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			checked++
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), match[1])); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d links were found", checked)
	}
}

// Tests that documents name as proof exist.
func TestNamedTests(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1)
	if len(names) == 0 {
		t.Fatal("no test is named")
	}
	for _, name := range names {
		if err := exec.CommandContext(t.Context(), "grep", "-rq", "--include=*_test.go", "func "+name, root).Run(); err != nil {
			t.Errorf("docs/threat-model.md names %s, which does not exist", name)
		}
	}
}

func build(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", dir+"/", "skr/cmd/skr", "skr/cmd/skr-emulator")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// runScript runs the script in a process group of its own, to end all of it.
func runScript(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.CreateTemp(dir, "out") // a pipe would wait for what runs on in the background
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	runErr := cmd.Run()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if runErr != nil {
		t.Fatalf("%v\n%s", runErr, text)
	}
	return string(text)
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, _ := listener.Addr().(*net.TCPAddr)
	return fmt.Sprint(address.Port)
}

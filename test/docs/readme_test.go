package docs

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"skr/test/program"
)

const root = "../.."

// byHand returns the README's block of commands with a free port, and a
// directory with the programs that make would build.
func byHand(t *testing.T) (script, dir string) {
	t.Helper()
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
	script = strings.ReplaceAll(blocks[0][1], "8080", port)
	return "export Port=" + port + "\n" + strings.Replace(script, "make build\n", "", 1), dir
}

// TestReadmeCommands runs the README's commands verbatim, twice, and checks
// that they leave nothing behind.
func TestReadmeCommands(t *testing.T) {
	script, dir := byHand(t)
	const ended = "for process in $sidecar $cloud; do kill -0 $process 2>/dev/null || echo ended; done\n"
	out := runScript(t, dir, script+ended+script+ended)
	for words, times := range map[string]int{`{"key":"{`: 2, `\"kty\":\"RSA\"`: 2, "ended": 4} {
		if got := strings.Count(out, words); got != times {
			t.Errorf("the output has %q %d times, want %d:\n%.4000s", words, got, times, out)
		}
	}
}

// TestReadmeCommandsLeftRunning checks that a second start beside the first
// names the process that holds the address.
func TestReadmeCommandsLeftRunning(t *testing.T) {
	script, dir := byHand(t)
	const end = "kill $sidecar $cloud && wait $sidecar $cloud\n"
	if !strings.HasSuffix(script, end) {
		t.Fatalf("the block does not end with %s", end)
	}
	out := runScript(t, dir, strings.TrimSuffix(script, end)+`
bin/skr && exit 1
echo "wanted: process $sidecar (skr) listens there"
address=${SKR_IMDS_URL#http://}
bin/skr-emulator serve --imds ${address%/} && exit 1
echo "wanted: process $cloud (skr-emulator) listens there"
`)
	for _, wanted := range regexp.MustCompile("(?m)^wanted: (.*)$").FindAllStringSubmatch(out, -1) {
		if strings.Count(out, wanted[1]) < 2 {
			t.Errorf("the output lacks %q:\n%.4000s", wanted[1], out)
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 80 {
		t.Errorf("the README has %d lines", lines)
	}
}

// TestLinks checks that links between documents resolve.
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

// TestIndex checks that the index of the documents lists each page once, and that each page begins
// with its readers.
func TestIndex(t *testing.T) {
	index, err := os.ReadFile(root + "/docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	for _, page := range pages {
		name := filepath.Base(page)
		if listed := strings.Count(string(index), "]("+name+")"); listed != 1 && name != "README.md" {
			t.Errorf("docs/README.md lists %s %d times", name, listed)
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.SplitN(string(text), "\n", 4); len(lines) < 4 || !strings.HasPrefix(lines[2], "For ") {
			t.Errorf("%s does not say for whom it is in its first sentence", name)
		}
	}
}

// TestNamedTests checks that the tests named in documents exist.
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

// programs are what make build puts into bin.
var programs = []string{"skr", "skrctl", "skr-emulator"}

// build makes dir what bin is after make build.
func build(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		if err := os.Symlink(program.Path(name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// runScript runs the script in its own process group and then ends the whole
// group.
func runScript(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.CreateTemp(dir, "out") // a pipe would wait for background processes
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
	_, port, _ := net.SplitHostPort(program.FreeAddress(t))
	return port
}

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

package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/tool"
)

// needCryptography skips the test without the library of the Python example. It returns the interpreter.
func needCryptography(t *testing.T) string {
	t.Helper()
	tool.Need(t, "python3", "python3 python3-cryptography")
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import cryptography").Run() == nil {
			return python
		}
	}
	tool.Missing(t, "cryptography of Python", "apt-get install python3-cryptography")
	return ""
}

// example is a running program of examples.
type example struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

func startExample(t *testing.T, s *sidecar, alias string, command ...string) *example {
	t.Helper()
	process := exec.Command(command[0], append(command[1:], alias)...) // the end of its input ends it
	process.Dir, process.Env = "../..", append(os.Environ(), "SKR_URL=http://"+s.address)
	var stderr bytes.Buffer
	process.Stderr = &stderr
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := process.Wait(); err != nil {
			t.Errorf("%q: %v\n%s", command, err, &stderr)
		}
	})
	return &example{in, bufio.NewScanner(out)}
}

// says writes a line and expects lines that begin so.
func (e *example) says(t *testing.T, line string, want ...string) {
	t.Helper()
	if _, err := fmt.Fprintln(e.in, line); err != nil {
		t.Fatal(err)
	}
	for _, begin := range want {
		if !e.out.Scan() {
			t.Fatalf("the program ended; want %q", begin)
		}
		if !strings.HasPrefix(e.out.Text(), begin) {
			t.Fatalf("the program says %q, want %q", e.out.Text(), begin)
		}
	}
}

// refuses writes a line and expects a refusal with that code.
func (e *example) refuses(t *testing.T, line, code string) {
	t.Helper()
	e.says(t, line, "refused: ")
	if !strings.Contains(e.out.Text(), code) {
		t.Fatalf("the program says %q, want the code %s", e.out.Text(), code)
	}
}

// Programs in four languages decrypt in place, get the key, are refused, and notice a rotation.
func TestExamples(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	alias := fmt.Sprintf(`{"vault":%q,"key":"orders","authority":%q,"versions":"all"`, r.vault, r.cloud.AttestationHost())
	s := start(t, append(r.env, `SKR_KEYS={"orders":`+alias+`},"kept":`+alias+`,"ops":["decrypt"]}}`)).ready(t)
	for language, command := range map[string]func(t *testing.T) []string{
		"go":     func(t *testing.T) []string { return []string{buildExample(t)} },
		"python": func(t *testing.T) []string { return []string{needCryptography(t), "examples/python/main.py"} },
		"node": func(t *testing.T) []string {
			tool.Need(t, "node", "nodejs")
			return []string{"node", "examples/node/main.mjs"}
		},
		"java": func(t *testing.T) []string {
			tool.Need(t, "java", "default-jdk-headless")
			return []string{"java", "examples/java/Main.java"}
		},
	} {
		t.Run(language, func(t *testing.T) {
			checkExample(t, r, s, command(t))
		})
	}
}

func checkExample(t *testing.T, r *rotation, s *sidecar, command []string) {
	t.Helper()
	sealed := func() (string, string) {
		key, err := s.client.KeptKey(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(sealWithGo(t, publicOf(t, key), "a message")), key.Version()
	}
	e := startExample(t, s, "orders", command...)
	first, old := sealed()
	e.says(t, first, "key version: "+old, "opened: a message")
	e.says(t, "release", "released: ")
	r.rotate(t)
	second, current := sealed()
	if current == old {
		t.Fatal("the key was not rotated")
	}
	e.says(t, second, "key version: "+current, "opened: a message")
	e.says(t, second, "opened: a message")
	e.says(t, first+" "+old, "opened: a message")
	e.refuses(t, first, "bad_request")
	e.says(t, "release", "released: ")
	refused := startExample(t, s, "kept", command...)
	refused.says(t, second, "key version: "+current, "opened: a message")
	refused.refuses(t, "release", "caller_not_allowed")
}

func buildExample(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./examples/go")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return path
}

// The programs stay short enough to read at once.
func TestExamplesAreShort(t *testing.T) {
	for _, file := range []string{"go/main.go", "java/Main.java", "node/main.mjs", "python/main.py"} {
		text, err := os.ReadFile(filepath.Join("../../examples", file))
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(text, []byte("\n")); lines >= 40 {
			t.Errorf("%s has %d lines", file, lines)
		}
	}
}

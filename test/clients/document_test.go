package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// example returns the only block of a language in docs/keys-in-use.md, for this sidecar.
func (v vault) example(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("docs/keys-in-use.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("docs/keys-in-use.md has %d examples in %s, want 1", len(blocks), language)
	}
	return strings.NewReplacer("https://localhost:8443", v.url(), "/run/skr-crypto", v.dir).Replace(blocks[0][1])
}

// runExample runs the example in a file of the directory.
func (v vault) runExample(t *testing.T, language, dir, name string, argv, env []string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(v.example(t, language)), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), argv[0], append(argv[1:], name)...)
	process.Dir, process.Env = dir, append(v.managed(t), env...)
	run(t, process, "a secret\n")
}

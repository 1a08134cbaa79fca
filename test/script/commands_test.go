package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skr/test/program"
)

// available are the lines of --help that name a command.
var available = regexp.MustCompile(`(?m)^  ([a-z-]+) +\S`)

// commands returns the commands below these words, according to --help.
func commands(t *testing.T, name string, words ...string) (all []string) {
	t.Helper()
	out, err := exec.Command(program.Path(name), append(words, "--help")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(out), "Commands:")
	if !found {
		return []string{strings.Join(words, " ")}
	}
	list, _, _ = strings.Cut(list, "Flags:")
	for _, match := range available.FindAllStringSubmatch(list, -1) {
		if match[1] != "help" {
			all = append(all, commands(t, name, append(words[:len(words):len(words)], match[1])...)...)
		}
	}
	return all
}

// TestEveryCommand: each command has a script that runs it.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var scripts strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(text)
	}
	for _, name := range []string{"skr", "skrctl"} {
		all := commands(t, name)
		if len(all) < 15 {
			t.Errorf("%s: found only %q", name, all)
		}
		for _, command := range all {
			if !strings.Contains(scripts.String(), "exec "+name+" "+command) {
				t.Errorf("no script runs %s %s", name, command)
			}
		}
	}
}

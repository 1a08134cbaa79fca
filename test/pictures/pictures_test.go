package pictures

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the pictures of docs/pictures/flow.txt")
	record = flag.Bool("record", false, "run make demo, and write its recordings to docs/pictures")
)

const directory = "../../docs/pictures/"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(directory + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(directory+name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlow checks that the picture shows what its text says.
func TestFlow(t *testing.T) {
	flow, err := parseSequence(read(t, "flow.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, picture := range map[string]string{"flow.svg": flow.svg(), "flow-narrow.svg": flow.list()} {
		wellFormed(t, picture)
		if *update {
			write(t, name, picture)
		}
		if read(t, name) != picture {
			t.Errorf("%s differs from its text; run go test ./test/pictures -args -update", name)
		}
	}
}

// TestWrap checks where long lines break.
func TestWrap(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"short", "short"},
		{"", ""},
		{"one two three", "one two|  three"},
		{"  one two three", "  one two|  three"},
		{"0123456789abcdef", "0123456789|  abcdef"},
		{"  0123456789abcdef", "  01234567|  89abcdef"},
		{"ten letter", "ten letter"},
		{"äöüäöüäöüäöü", "äöüäöüäöüä|  öü"},
	} {
		if got := strings.Join(wrap(test.line, 10, "  "), "|"); got != test.want {
			t.Errorf("%q is broken into %q, want %q", test.line, got, test.want)
		}
	}
}

func TestSequenceErrors(t *testing.T) {
	const parties = "parties\n  one\n  two\n"
	for _, text := range []string{"  one\n", parties + "steps\n  one > three: text\n", parties + "steps\n  one two\n", parties + "steps\n  three = text\n"} {
		if s, err := parseSequence(text); err == nil {
			t.Errorf("%q was read as %v", text, s)
		}
	}
}

// TestRecording checks that the recording tells what the demonstration does. Its names, times and
// ports differ from run to run.
func TestRecording(t *testing.T) {
	const command = "make demo"
	if *record {
		run := exec.CommandContext(t.Context(), "make", "--no-print-directory", "demo")
		run.Dir = "../.."
		output, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		_, shown, _ := strings.Cut(string(output), "\n\n")
		write(t, "demo.svg", terminal(command, shown, wideColumns))
		write(t, "demo-narrow.svg", terminal(command, shown, phoneColumns))
	}
	words := []string{"$ " + command, "4. In the pod", "5. The application decrypts", "6. Better: with ops: [decrypt]", "release_rejected"}
	for _, name := range []string{"demo.svg", "demo-narrow.svg"} {
		picture := read(t, name)
		wellFormed(t, picture)
		for _, words := range words {
			if !strings.Contains(picture, words) {
				t.Errorf("%s does not show %q; run go test ./test/pictures -args -record", name, words)
			}
		}
	}
}

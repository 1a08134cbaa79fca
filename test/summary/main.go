// Command summary runs `go test -json` and prints a readable summary: a line for each
// package, the whole output of each failed test, tables, and at the end each skipped test
// with its reason, which go test hides. The lines of a table begin with "matrix:".
//
//	summary go test -json ./...
//
// Its exit code is the command's.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "summary:", err) // no other place to report it
		code = 1
	}
	os.Exit(code)
}

func run(args []string, out io.Writer) (int, error) {
	if len(args) == 0 {
		return 0, errors.New("want a command that prints test events")
	}
	command := exec.Command(args[0], args[1:]...)
	command.Stderr = os.Stderr
	events, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	readErr := summarise(events, out)
	_, _ = io.Copy(io.Discard, events) // otherwise the command would block
	if err := command.Wait(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode(), readErr
		}
		return 0, err
	}
	return 0, readErr
}

// event is a line of `go test -json` (go doc test2json; go help buildjson).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build events
	Test       string
	Output     string
}

// tableMark begins each line of a table. Tables are printed even if their test passes.
const tableMark = "matrix:"

// test is one test of one package.
type test struct{ pkg, name string }

func summarise(events io.Reader, out io.Writer) error {
	outputs := map[test][]string{}
	var skipped []string
	decoder := json.NewDecoder(events)
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return printSkipped(out, skipped)
		} else if err != nil {
			return fmt.Errorf("reading test events: %w", err)
		}
		id := test{e.Package, e.Test}
		switch {
		case e.Action == "build-output", e.Action == "output" && e.Test == "":
			if e.Output != "PASS\n" {
				_, _ = io.WriteString(out, e.Output) // the exit code reports the result even if this write fails
			}
		case e.Action == "output":
			outputs[id] = append(outputs[id], e.Output)
			if line := strings.TrimSpace(e.Output); strings.HasPrefix(line, tableMark) {
				_, _ = fmt.Fprintln(out, line) // as above
			}
		case e.Action == "fail":
			_, _ = io.WriteString(out, strings.Join(outputs[id], "")) // as above
			delete(outputs, id)
		case e.Action == "skip" && e.Test != "":
			skipped = append(skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(outputs[id])))
			delete(outputs, id)
		case e.Action == "pass":
			delete(outputs, id)
		}
	}
}

// reason returns the test's output without go test's own lines.
func reason(lines []string) string {
	var words []string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			words = append(words, line)
		}
	}
	if len(words) == 0 {
		return "NO REASON GIVEN"
	}
	return strings.Join(words, " ")
}

func printSkipped(out io.Writer, skipped []string) error {
	slices.Sort(skipped)
	_, err := fmt.Fprintf(out, "%d tests skipped\n", len(skipped))
	for _, line := range skipped {
		if err == nil {
			_, err = fmt.Fprintln(out, "  skipped", line)
		}
	}
	return err
}

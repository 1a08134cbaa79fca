package walk

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skr/test/samples"
)

const module = "skr/"

// recorder is the source of a package that each function of the overlay calls. It records
// the stacks between two SIGUSR1 signals.
const recorder = `package recorder

import (
	"bytes"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

var (
	on     atomic.Bool
	mu     sync.Mutex
	stacks bytes.Buffer
)

func init() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			if on.CompareAndSwap(false, true) {
				mark("begun", nil)
				continue
			}
			on.Store(false)
			mu.Lock()
			mark("stacks", stacks.Bytes())
			stacks.Reset()
			mu.Unlock()
		}
	}()
}

// mark makes a file appear as a whole.
func mark(name string, content []byte) {
	path := os.Getenv("WALK_DIRECTORY") + "/" + name
	if os.WriteFile(path+".new", content, 0o600) != nil || os.Rename(path+".new", path) != nil {
		panic(path)
	}
}

// Enter is called first in each function.
func Enter() {
	if !on.Load() {
		return
	}
	stack := make([]byte, 64<<10)
	stack = stack[:runtime.Stack(stack, false)]
	mu.Lock()
	defer mu.Unlock()
	stacks.Write(stack)
	stacks.WriteByte('\n')
}
`

// goPackage is what go list reports about a package.
type goPackage struct {
	ImportPath, Dir string
	GoFiles         []string
}

// build builds skr with the recorder in dir and returns its path.
func build(t *testing.T, dir string) string {
	t.Helper()
	replaced := map[string]string{}
	add := func(path, text string) {
		name := filepath.Join(dir, fmt.Sprintf("%d.go", len(replaced)))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[path] = name
	}
	add(filepath.Join(samples.Repository(t), "internal/recorder/recorder.go"), recorder)
	for _, p := range packages(t) {
		for _, file := range p.GoFiles {
			path := filepath.Join(p.Dir, file)
			if text, changed := instrument(t, path); changed {
				add(path, text)
			}
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	file, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "skr")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "build", "-tags", "grpcnotrace", "-trimpath", "-overlay", file, "-o", program, "skr/cmd/skr")
	return program
}

// packages returns this repository's packages that skr links.
func packages(t *testing.T) (ours []goPackage) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(
		command(t, "list", "-tags", "grpcnotrace", "-deps", "-json=ImportPath,Dir,GoFiles", "skr/cmd/skr"))))
	for decoder.More() {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, module) {
			ours = append(ours, p)
		}
	}
	return ours
}

func command(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // exec returns it unwrapped
			t.Fatalf("go %s: %v\n%s", args[0], err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return out
}

// instrument makes each function of a file call the recorder first. It keeps all line numbers.
func instrument(t *testing.T, path string) (text string, changed bool) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	offsets := []int{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch f := n.(type) {
		case *ast.FuncDecl:
			if f.Body != nil {
				offsets = append(offsets, files.Position(f.Body.Lbrace).Offset+1)
			}
		case *ast.FuncLit:
			offsets = append(offsets, files.Position(f.Body.Lbrace).Offset+1)
		}
		return true
	})
	if len(offsets) == 0 {
		return "", false
	}
	slices.Sort(offsets)
	text = string(source)
	for _, offset := range slices.Backward(offsets) {
		text = text[:offset] + "walkRecorder.Enter();" + text[offset:]
	}
	end := files.Position(file.Name.End()).Offset
	return text[:end] + `; import walkRecorder "skr/internal/recorder"` + text[end:], true
}

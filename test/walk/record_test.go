package walk

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// frame is a function of this repository on a stack.
type frame struct{ function, file string }

// directory returns the package of a frame as its path below the root.
func (f frame) directory() string { return path.Dir(f.file) }

// entry is the entry of one function, with this repository's functions that led to it,
// innermost first.
type entry struct {
	goroutine       string
	creator, parent string // function and goroutine that started this goroutine
	stack           []frame
}

var (
	header  = regexp.MustCompile(`^goroutine (\d+) `)
	created = regexp.MustCompile(`^created by (.+) in goroutine (\d+)$`)
	// The arguments end a function's line. Those of a generic function follow "[...]".
	arguments = regexp.MustCompile(`\((\.\.\.|[^()]*|[^()]*\([^()]*\)[^()]*)\)$`)
)

// parse reads the recorder's output.
func parse(t *testing.T, stacks []byte) (entries []entry) {
	t.Helper()
	for text := range strings.SplitSeq(strings.TrimSpace(string(stacks)), "\n\n") {
		lines := strings.Split(text, "\n")
		named := header.FindStringSubmatch(lines[0])
		if named == nil {
			t.Fatalf("not a stack: %s", text)
		}
		e := entry{goroutine: named[1]}
		for i := 1; i+1 < len(lines); i += 2 {
			if by := created.FindStringSubmatch(lines[i]); by != nil {
				e.creator, e.parent = by[1], by[2]
				continue
			}
			file, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), ":")
			if ours, is := strings.CutPrefix(file, module); is && !strings.HasPrefix(ours, "internal/recorder/") {
				e.stack = append(e.stack, frame{arguments.ReplaceAllString(lines[i], ""), ours})
			}
		}
		entries = append(entries, e)
	}
	return entries
}

const (
	// entrance is the function that receives the request.
	entrance = "skr/internal/sidecar/server.(*Server).ServeHTTP"
	// ahead is the function that makes the next KEK. It is not part of this release.
	ahead = "skr/keyrelease.(*spareKEK).begin"
)

// walk orders the entries of one request independently of the scheduler: a goroutine's
// entries follow the function that started it. Each stack continues with the stack at which
// its goroutine started.
func walk(entries []entry) []entry {
	w := walker{by: map[string][]entry{}, children: map[string][]string{}}
	root := ""
	for _, e := range entries {
		if root == "" && e.stack[0].function == entrance {
			root, w.by[e.goroutine] = e.goroutine, nil // earlier, it ended another request
		}
		if w.by[e.goroutine] == nil && e.parent != "" {
			w.children[e.parent] = append(w.children[e.parent], e.goroutine)
		}
		w.by[e.goroutine] = append(w.by[e.goroutine], e)
	}
	w.visit(root, nil)
	return w.walked
}

type walker struct {
	by       map[string][]entry  // entries by goroutine
	children map[string][]string // goroutines by the goroutine that started them
	walked   []entry
}

func (w *walker) visit(goroutine string, below []frame) {
	waiting := slices.Clone(w.children[goroutine])
	for _, e := range w.by[goroutine] {
		e.stack = append(slices.Clone(e.stack), below...)
		w.walked = append(w.walked, e)
		for i, child := range waiting {
			if w.by[child][0].creator == e.stack[0].function {
				waiting = slices.Delete(waiting, i, i+1)
				w.begin(child, e.stack)
				break
			}
		}
	}
	for _, child := range waiting { // started by a library
		w.begin(child, below)
	}
}

func (w *walker) begin(child string, below []frame) {
	if w.by[child][0].creator != ahead {
		w.visit(child, below)
	}
}

// steps are the packages that a walk enters, each with its files, in the order of first
// entry.
type step struct {
	directory string
	files     []string
}

func stepsOf(walked []entry) (steps []step) {
	for _, e := range walked {
		directory, file := e.stack[0].directory(), path.Base(e.stack[0].file)
		i := slices.IndexFunc(steps, func(s step) bool { return s.directory == directory })
		if i < 0 {
			i, steps = len(steps), append(steps, step{directory: directory})
		}
		if !slices.Contains(steps[i].files, file) {
			steps[i].files = append(steps[i].files, file)
		}
	}
	return steps
}

// route returns the packages of a stack, outermost first. A package that runs its callers'
// work counts as the caller.
func route(stack []frame) (route []string) {
	for _, f := range slices.Backward(stack) {
		directory := f.directory()
		if !slices.Contains(mechanisms, directory) && (len(route) == 0 || route[len(route)-1] != directory) {
			route = append(route, directory)
		}
	}
	return route
}

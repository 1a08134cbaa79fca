// Notices writes the licences and notices of the modules that a program contains, as their licences
// ask of those who distribute programs.
//
//	go run ./deploy/release/notices PACKAGE FILE SYSTEM...
//
// The text serves for each of the systems, such as linux and windows.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: notices PACKAGE FILE SYSTEM...")
		os.Exit(2)
	}
	if err := write(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, program, file string, systems []string) error {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	dirs := map[string]string{"Go " + runtime.Version(): strings.TrimSpace(string(root))}
	for _, system := range systems {
		if err := modules(ctx, program, system, dirs); err != nil {
			return err
		}
	}
	text, err := notices(dirs)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644) //nolint:gosec // Everyone may read it.
}

// modules adds the directory of each module that the program contains on that system.
func modules(ctx context.Context, program, system string, dirs map[string]string) error {
	//nolint:gosec // The package is an argument.
	list := exec.CommandContext(ctx, "go", "list", "-tags", "grpcnotrace", "-deps", "-json=Module", program)
	list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list %s: %w", program, err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var row struct {
			Module struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := decoder.Decode(&row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if m := row.Module; m.Path != "" && !m.Main {
			dirs[m.Path+" "+m.Version] = m.Dir
		}
	}
}

// notices returns each text once, below the modules that have it.
func notices(dirs map[string]string) ([]byte, error) {
	owners := map[string][]string{} // by text
	for module, dir := range dirs {
		texts, err := read(dir)
		if err != nil {
			return nil, err
		}
		if len(texts) == 0 {
			return nil, fmt.Errorf("%s has no licence in %s", module, dir)
		}
		for _, text := range texts {
			owners[text] = append(owners[text], module)
		}
	}
	sections := make([]string, 0, len(owners))
	for text, modules := range owners {
		slices.Sort(modules)
		sections = append(sections, strings.Join(modules, "\n")+"\n\n"+text+"\n")
	}
	slices.Sort(sections)
	line := strings.Repeat("-", 80) + "\n"
	return []byte("This program contains code of these modules, under these licences:\n\n" + line + strings.Join(sections, "\n"+line)), nil
}

// read returns the licences and notices in a module's root. LICENSE.docs is for texts, which are
// not part of programs.
func read(dir string) (texts []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		named := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if !slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, named) || entry.IsDir() ||
			strings.HasSuffix(name, ".DOCS") || strings.HasSuffix(name, ".GO") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // A module's root.
		if err != nil {
			return nil, err
		}
		texts = append(texts, strings.TrimSpace(string(text)))
	}
	return texts, nil
}

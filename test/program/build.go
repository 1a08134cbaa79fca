package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// sharedVariable names a directory in which all test packages share the programs. The
// Makefile sets it to a directory that is empty at first. Without the variable, each package
// builds its own programs.
const sharedVariable = "SKR_TEST_PROGRAMS"

// sharedDirectory returns a directory below the shared one. Programs with the race detector
// have their own, so that they never replace the others.
func sharedDirectory(shared string) (string, error) {
	if !filepath.IsAbs(shared) {
		return "", fmt.Errorf("%s is %q: it must be an absolute path", sharedVariable, shared)
	}
	dir := filepath.Join(shared, "plain")
	if raced {
		dir = filepath.Join(shared, "race")
	}
	return dir, os.MkdirAll(dir, 0o750)
}

// build builds the programs of these packages in dir. It does not trust a program that is
// there: the go command compares the program's build ID with the sources, and links only what
// differs. A lock admits one package at a time, so that none starts a half-written program.
func build(dir string, packages []string) error {
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, "lock")).Lock()
	if err != nil {
		return fmt.Errorf("locking the directory of the programs: %w", err)
	}
	defer unlock()
	args := []string{"build", "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"} // the same as in test/stranger
	cgo := "CGO_ENABLED=0"
	if raced {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	args = append(args, "-o", dir+string(filepath.Separator))
	command := exec.Command("go", append(args, packages...)...)
	command.Env = append(os.Environ(), cgo)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building %q: %w\n%s", packages, err, out)
	}
	return nil
}

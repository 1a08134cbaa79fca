// Package script runs the commands of skr as a person types them: each file in
// testdata is a testscript (pkg.go.dev/github.com/rogpeppe/go-internal/testscript).
package script

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"skr/test/emulator"
)

// binary is the directory of skr, built as it ships.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skr-script-")
	if err != nil {
		panic(err)
	}
	binary = dir
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "skr"), "skr/cmd/skr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building skr: %v\n%s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup:               func(e *testscript.Env) error { e.Vars = append(e.Vars, "PATH="+binary+":"+os.Getenv("PATH")); return nil },
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"cloud": cloud},
	})
}

// cloud starts an emulated cloud and gives the script the environment of a pod in
// it: "cloud". $VAULT and $MAA are the hosts of its vault and its authority, and
// $KEY is the name of a key that the pod may release.
func cloud(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: cloud")
	}
	dir, err := os.MkdirTemp("", "skr-") // a script's own directory may be too long for a socket
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	c, err := emulator.Start(context.Background(), emulator.Config{Dir: dir})
	ts.Check(err)
	ts.Defer(func() { _ = c.Close() })
	vault := c.Host("demo", "vault")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`,
		c.AttestationHost(), c.Machine().HostData())
	_, err = c.CreateKey(context.Background(), vault, emulator.KeySpec{Name: "demo", Size: 2048}, policy)
	ts.Check(err)
	for _, assignment := range append(c.Environment(c.Machine()), "VAULT="+vault, "MAA="+c.AttestationHost(), "KEY=demo") {
		name, value, _ := strings.Cut(assignment, "=")
		ts.Setenv(name, value)
	}
}

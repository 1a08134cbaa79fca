package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"skr/test/program"
	"skr/test/tool"
)

// TestNames: with the lines of --hosts, clients of other languages reach the emulated services by
// name. With --real-names and IMDS at its own address, Azure's unmodified clients do. The test has a
// network of its own, so port 443 is free and no request reaches Azure.
func TestNames(t *testing.T) {
	needClients(t)
	sources, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	const reached = "python 401 200\nnode 401 200\njava 401 200\nskr 1\n"
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"hosts":      {nil, reached},
		"real names": {[]string{"--real-names", "--imds", "169.254.169.254:80"}, reached + "azure payroll\n"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			args := []string{"--net", "--mount", "--kill-child", "sh", filepath.Join(sources, "names.sh"), program.Path("skr-emulator"), program.Path("skr"), sources}
			run := exec.CommandContext(ctx, "unshare", append(args, c.flags...)...)
			var errOut bytes.Buffer
			run.Dir, run.Stderr = shortDir(t), &errOut
			if out, err := run.Output(); err != nil || string(out) != c.want {
				t.Errorf("%v\n%s\nwant\n%s\n%s", err, out, c.want, &errOut)
			}
		})
	}
}

// needClients skips the test on a machine that lacks a client.
func needClients(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		tool.Missing(t, "root, for a network of its own and another /etc/hosts,", "run the tests as root")
	}
	tool.Need(t, "unshare", "util-linux")
	tool.Need(t, "ip", "iproute2")
	tool.Need(t, "node", "nodejs")
	tool.Need(t, "java", "default-jdk-headless")
	if err := exec.Command("/usr/bin/python3", "-c", "import azure.identity, azure.keyvault.keys").Run(); err != nil {
		tool.Missing(t, "Azure's client for Python", "apt-get install python3-azure")
	}
}

// shortDir returns a directory with a short path, as sockets need.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, remove, err := workDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	return dir
}

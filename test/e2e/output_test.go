package e2e

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"skr/test/emulator"
	"skr/test/program"
)

// single is a cloud with one key, and the command that requests it.
type single struct {
	*emulator.Cloud

	env        []string
	release    []string
	annotation string
}

func newSingle(t *testing.T) *single {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	annotation := `{"kid":"k","wrapped_data":"` + base64.StdEncoding.EncodeToString(make([]byte, 256)) +
		`","iv":"","wrap_type":"rsa_2048","kms_endpoint":"` + vault + `","attester_endpoint":"` + cloud.AttestationHost() + `"}`
	return &single{
		cloud, cloud.Environment(cloud.Machine()),
		[]string{"release", "--authority", cloud.AttestationHost(), "--vault", vault, "--key", "k"}, annotation,
	}
}

func (s *single) releases() int { return s.Faults().Requests(emulator.ServiceRelease) }

// If the result cannot be written, no key is released. The message has the path that the
// user gave.
func TestOutputIsLookedAtFirst(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/etc/hostname", link); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "absent", "key"), dir, link, pipe, ""} {
		for _, args := range [][]string{s.release, {"unwrap"}} {
			_, stderr, code := once(t, append(s.env, "SKR_REQUEST_TIMEOUT=1s"), s.annotation, append(args, "--out", path)...)
			if code != 2 || !strings.Contains(stderr, "--out: "+path) || strings.Contains(stderr, ".skr-") {
				t.Errorf("%s --out %q: exit %d, %s", args[0], path, code, stderr)
			}
		}
	}
	if got := s.releases(); got != 0 {
		t.Errorf("%d keys were released", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Type() != os.ModeSymlink || entries[1].Type() != os.ModeNamedPipe {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// With /dev/stdout a key goes to standard output, and the device remains.
func TestOutputToDevice(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	for _, path := range []string{"/dev/stdout", "/dev/fd/1", "-"} {
		stdout, stderr, code := once(t, s.env, "", append(s.release, "--out", path)...)
		if code != 0 || !strings.HasPrefix(stdout, `{"`) {
			t.Errorf("--out %s: exit %d, %q, %s", path, code, stdout[:min(len(stdout), 10)], stderr)
		}
	}
	if target, err := os.Readlink("/dev/stdout"); err != nil || target != "/proc/self/fd/1" {
		t.Errorf("/dev/stdout is %q, %v", target, err)
	}
}

// A separate command writes the same records as a sidecar. They go to audit_file or to the
// log, which is standard error unless log_file is set.
func TestCommandsAreRecorded(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	log := filepath.Join(t.TempDir(), "log")
	for name, args := range map[string][]string{"release": s.release, "unwrap": {"unwrap"}, "doctor": append([]string{"doctor"}, s.release[1:]...)} {
		_, stderr, _ := once(t, s.env, s.annotation, args...)
		verified(t, name, stderr)
		before := s.releases()
		_, stderr, _ = once(t, append(s.env, "SKR_LOG_FILE="+log), s.annotation, args...)
		if s.releases() == before || strings.Contains(stderr, `"seq"`) {
			t.Errorf("%s with a log file: %s", name, stderr)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		verified(t, name+" to a file", string(text))
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
	}
}

// verified expects one released record in a log.
func verified(t *testing.T, name, log string) {
	t.Helper()
	stdout, stderr, code := operate(t, nil, log, "audit", "verify")
	if code != 0 || !strings.Contains(stdout, "1 released, 0 refused, intact") {
		t.Errorf("%s: exit %d, %s%s of\n%s", name, code, stdout, stderr, log)
	}
}

// A command that cannot write its audit record releases nothing.
func TestCommandWithoutRecord(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	for _, args := range [][]string{s.release, {"unwrap"}, append([]string{"doctor"}, s.release[1:]...)} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program.Path("skr"), args...)
		cmd.Env, cmd.Stdin, cmd.Stderr = s.env, strings.NewReader(s.annotation), full
		out, err := cmd.Output()
		if err == nil || len(out) != 0 {
			t.Errorf("%s: %v, and it wrote %d bytes", args[0], err, len(out))
		}
		_ = full.Close()
	}
	if got := s.releases(); got != 0 {
		t.Errorf("%d keys were released", got)
	}
}

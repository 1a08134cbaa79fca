package e2e

import (
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
)

// The sidecar starts with every value that the reference starts with. If the reference
// ignores a value silently, skr logs a warning.
func TestReferenceValues(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	args := func(json string) string { return "SkrSideCarArgs=" + base64.StdEncoding.EncodeToString([]byte(json)) }
	for _, c := range []struct{ variable, warning string }{
		{"LogLevel=Info", ""}, {"LogLevel=Debug", ""}, {"LogLevel=WARNING", ""}, {"LogLevel=Warn", ""}, {"LogLevel=ERROR", ""},
		{"LogLevel=trace", ""}, {"LogLevel=fatal", ""}, {"LogLevel=Panic", ""},
		{"ServerType=HTTP", ""},
		{"ServerType=tcp", `ServerType: \"tcp\" is none of http, grpc; serving HTTP`},
		{args(`{"certcache":{"endpoint_type":"","colour":1},"azureinfo":{"a":2},"Identity":{"Client_ID":""}}`), `the unknown member \"certcache.colour\"`},
		{args(`{"azureinfo":{"a":2}}`), `the unknown member \"azureinfo\"`},
		{args(`{"certcache":{"endpoint_type":"localthim","endpoint":"h/p"}}`), `certcache.endpoint_type \"localthim\" is none of`},
		{args(`{"certcache":null}`), ""},
	} {
		t.Run(c.variable, func(t *testing.T) {
			s := start(t, append(cloud.Environment(cloud.Machine()), c.variable)).ready(t)
			log := s.log.String()
			warned := strings.Contains(log, `"level":"WARN"`) && strings.Contains(log, "none of") || strings.Contains(log, "unknown member")
			if !strings.Contains(log, c.warning) || warned != (c.warning != "") {
				t.Errorf("want the warning %q in\n%s", c.warning, log)
			}
		})
	}
}

// If skr cannot write its log file, it logs to standard error, with a warning.
func TestLogFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/nonexistent/skr.log", dir, pipe, "/dev/full", "/proc/version"} {
		for _, format := range []string{"json", "text"} {
			t.Run(path+" "+format, func(t *testing.T) {
				s := start(t, append(cloud.Environment(cloud.Machine()), "LogFile="+path, "SKR_LOG_FORMAT="+format)).ready(t)
				for _, want := range []string{"the log goes to standard error", "ready"} {
					if !strings.Contains(s.log.String(), want) {
						t.Errorf("standard error lacks %q:\n%s", want, s.log)
					}
				}
			})
		}
	}
}

// The other containers of the pod may read the log. Only its owner may read the audit file.
func TestModesOfFiles(t *testing.T) {
	cloud := program.Cloud(t, emulator.Config{})
	log, audit := filepath.Join(t.TempDir(), "skr.log"), filepath.Join(t.TempDir(), "audit")
	start(t, append(cloud.Environment(cloud.Machine()), "LogFile="+log, "SKR_AUDIT_FILE="+audit)).ready(t)
	for path, want := range map[string]os.FileMode{log: 0o644 &^ umask(), audit: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info, err, want)
		}
	}
}

func umask() os.FileMode {
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return os.FileMode(mask)
}

// The image's entry point accepts the commands that manifests use with the reference's
// image.
func TestNamesAsArguments(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	empty := base64.StdEncoding.EncodeToString([]byte("{}"))
	for _, args := range [][]string{
		{"/skr.sh"}, {"skr.sh", empty}, {"/bin/sh", "-c", "/skr.sh"}, {"sh", "/skr.sh", empty},
		{"/bin/skr"}, {"skr", "serve"}, {"/bin/skr", "-loglevel", "Debug"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			address := program.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			log := new(program.Output)
			process := &exec.Cmd{
				Path: program.Path("skr"), Args: append([]string{"/bin/skr"}, args...), Stderr: log,
				Env: append(cloud.Environment(cloud.Machine()), "Port="+port),
			}
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = process.Process.Kill(); _ = process.Wait() }()
			if _, stderr, code := once(t, nil, "", "healthcheck", "--listen", address, "--wait", "20s"); code != 0 {
				t.Errorf("not ready: %s\n%s", stderr, log)
			}
		})
	}
	for _, args := range [][]string{
		{"/tests/skr/skr_client.sh"}, {"curl", "http://localhost:8080/status"},
		{"get-snp-report"}, {"/bin/get-snp-report"}, {"sleep", "1000000"}, {"sh", "-c", "id"}, {"sh"},
	} {
		_, stderr, code := once(t, nil, "", args...)
		if code != 2 || !strings.Contains(stderr, "docs/deployment.md lists what to use instead") {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
}

// docs/deployment.md lists each program of the reference's image (its Dockerfile.skr) with
// a replacement, and each replacement exists.
func TestProgramsOfTheReference(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### What the reference's image has")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, name := range []string{"/bin/sh", "sleep", "curl", "get-snp-report", "skr_client.sh", "attest_client.sh", "json_report_client.sh", "skr_test.sh"} {
		if !strings.Contains(section, name) {
			t.Errorf("%s is not in the list", name)
		}
	}
	commands := regexp.MustCompile("`skr ([^`]+)`").FindAllStringSubmatch(section, -1)
	for _, command := range commands {
		var words []string
		for _, word := range strings.Fields(command[1]) {
			if strings.ToUpper(word) != word { // otherwise it stands for a value
				words = append(words, strings.TrimSuffix(word, ","))
			}
		}
		usage, stderr, code := once(t, nil, "", append(commandOf(words), "--help")...)
		if code != 0 {
			t.Errorf("skr %s: %s", command[1], stderr)
		}
		for _, word := range words[len(commandOf(words)):] {
			if !strings.Contains(usage, word+" ") {
				t.Errorf("skr %s has no %s", command[1], word)
			}
		}
	}
	if len(commands) < 5 {
		t.Errorf("the list names %d commands of skr", len(commands))
	}
}

// commandOf returns the words before the flags.
func commandOf(words []string) []string {
	for i, word := range words {
		if strings.HasPrefix(word, "-") {
			return slices.Clone(words[:i])
		}
	}
	return slices.Clone(words)
}

// Wrapping a file works as in the reference's test: `compose run sidecar /bin/skr
// -infile …`, after the image's entry point.
func TestWrapByEntryPoint(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault, dir := cloud.Host("demo", "vault"), t.TempDir()
	env := cloud.Environment(cloud.Machine())
	if _, stderr, code := operate(t, env, "", "key", "create", "layers", "--vault", vault, "--authority", cloud.AttestationHost(),
		"--platform", "aci", "--measurement", cloud.Machine().HostData().String(), "--out-dir", dir); code != 0 {
		t.Fatal(stderr)
	}
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.txt")
	if err := os.WriteFile(in, []byte("Oceans are full of water"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := once(t, nil, "", "/bin/skr", "-infile", in, "-keypath", filepath.Join(dir, "layers"), "-outfile", out); code != 0 {
		t.Fatalf("wrapping: %s", stderr)
	}
	if opened, stderr, code := once(t, env, "", "unwrap", "--in", out, "--out", "-"); code != 0 || opened != "Oceans are full of water" {
		t.Errorf("unwrapping: exit code %d, %q, %s", code, opened, stderr)
	}
}

package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/internal/jose/jwk"
	"skr/test/emulator"
	"skr/test/program"
)

func TestReleaseCommand(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	env := cloud.Environment(cloud.Machine())
	args := []string{"release", "--authority", cloud.AttestationHost(), "--vault", vault, "--key", "k"}

	t.Run("jwk", func(t *testing.T) {
		stdout, stderr, code := once(t, env, "", args...)
		key, err := jwk.Parse([]byte(strings.TrimSpace(stdout)))
		if code != 0 || err != nil || key.Kid != "" || key.D == "" {
			t.Errorf("exit %d, %v, kid %q\n%s", code, err, key.Kid, stderr)
		}
	})
	t.Run("pem to a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key.pem")
		stdout, stderr, code := once(t, env, "", append(args, "--format", "pem", "--out", path)...)
		if code != 0 || stdout != "" {
			t.Fatalf("exit %d, output %q\n%s", code, stdout, stderr)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "-----BEGIN PRIVATE KEY-----\n") {
			t.Errorf("the file begins with %.30q, %v", text, err)
		}
	})
	t.Run("access token on standard input", func(t *testing.T) {
		token, err := cloud.AccessToken(vault)
		if err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := once(t, env, token+"\n", append(args, "--access-token-file", "-")...); code != 0 {
			t.Errorf("exit %d\n%s", code, stderr)
		}
	})
}

// Exit codes show who refused. A command that fails writes nothing.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	env := cloud.Environment(cloud.Machine())
	release := func(authority, vault, key string, more ...string) []string {
		return append([]string{"release", "--authority", authority, "--vault", vault, "--key", key}, more...)
	}
	maa := cloud.AttestationHost()
	cases := []struct {
		name string
		env  []string
		args []string
		code int
		text string
	}{
		{"unknown command", env, []string{"relase"}, 2, "unknown command"},
		{"unknown flag", env, []string{"--lisen", "x"}, 2, "unknown flag"},
		{"missing flag", env, []string{"release"}, 2, "are needed"},
		{"mismatched TCB allowed", env, []string{"-allowTestingMismatchedTCB"}, 2, "no switch weakens a check"},
		{"another server", append(env, "ServerType=ftp"), release(maa, vault, "absent"), 3, "none of http, grpc"},
		{"public address", env, []string{"--listen", "0.0.0.0:8080"}, 2, "only localhost"},
		{"bad side-car arguments", append(env, "SkrSideCarArgs=%%%"), nil, 2, "SkrSideCarArgs: must be base64"},
		{"misspelt variable", append(env, "SKR_LISEN=x"), release(maa, vault, "absent"), 3, "SKR_LISEN"},
		{"bad KEK size", env, []string{"--kek-bits", "1024"}, 2, "kek_bits"},
		{"bad report source", env, []string{"--report-source", "tpm"}, 2, "report_source"},
		{"bad vault list", env, []string{"--vault-allow", "*.net"}, 2, "vault_allow"},
		{"bad roots", env, []string{"--amd-roots", "/dev/null"}, 2, "amd_roots"},
		{"bad CA file", env, []string{"--ca-file", "/dev/null"}, 2, "ca_file"},
		{"vault not allowed", env, release(maa, "evil.example", "k"), 3, "endpoint not allowed"},
		{"malformed key", env, release(maa, vault, "a/b/c"), 2, "bad request"},
		{"key not found", env, release(maa, vault, "absent"), 3, "key not found"},
		{"unreachable authority", env, release("gone.eus.attest.localhost:1", vault, "k", "--maa-allow", "*.attest.localhost:1"), 4, "unavailable"},
		{"no device", append(env, "SKR_REPORT_SOURCE=unix:/nonexistent"), release(maa, vault, "k"), 5, "no evidence"},
		{"no certificates", append(env, "SKR_CERTIFICATE_SOURCES=host", "UVM_SECURITY_CONTEXT_DIR=/nonexistent"), release(maa, vault, "k"), 5, "no endorsements"},
		{"foreign silicon", program.Unassigned(append(env, "SKR_AMD_ROOTS=")), release(maa, vault, "k"), 5, "no endorsements"},
		{"foreign TLS", program.Unassigned(append(env, "SKR_CA_FILE=")), release(maa, vault, "k"), 6, "untrusted"},
		{"other port", env, release("x.attest.localhost:1", vault, "k"), 3, "endpoint not allowed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, code := once(t, c.env, "", c.args...)
			if code != c.code || !strings.Contains(stderr, c.text) || stdout != "" {
				t.Errorf("exit %d, want %d; want %q in\n%s%s", code, c.code, c.text, stderr, stdout)
			}
		})
	}
	t.Run("nothing is written on failure", func(t *testing.T) {
		dir := t.TempDir()
		operate(t, env, "", release(maa, vault, "absent", "--out", filepath.Join(dir, "key"))...)
		if entries, err := fs.Glob(os.DirFS(dir), "*"); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %q, %v", entries, err)
		}
	})
}

func TestAttestCommands(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	env := cloud.Environment(cloud.Machine())
	for name, member := range map[string]string{"raw": "report", "combined": "evidence", "maa": "token"} {
		args := []string{"attest", name}
		switch name {
		case "maa":
			args = append(args, "--authority", cloud.AttestationHost())
		case "raw":
			args = append(args, "--output", "json")
		}
		stdout, stderr, code := once(t, env, `{"keys":[]}`, args...)
		var answer map[string]string
		if err := json.Unmarshal([]byte(stdout), &answer); code != 0 || err != nil || answer[member] == "" {
			t.Errorf("attest %s: exit %d, %v\n%s", name, code, err, stderr)
		}
	}
}

// `skr config` prints what --config accepts. Flags win over the environment, and the
// environment wins over the file.
func TestConfigPrecedence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed, stderr, code := once(t, []string{"LogLevel=debug"}, "", "config")
	if code != 0 || !strings.Contains(printed, "log_level: debug") {
		t.Fatalf("exit %d\n%s%s", code, stderr, printed)
	}
	path := filepath.Join(dir, "skr.yaml")
	if err := os.WriteFile(path, []byte(printed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  []string
		args []string
		want string
	}{
		{nil, nil, "debug"},
		{[]string{"LogLevel=warning"}, nil, "warning"},
		{[]string{"LogLevel=warning", "SKR_LOG_LEVEL=error"}, nil, "error"},
		{[]string{"SKR_LOG_LEVEL=error"}, []string{"-loglevel", "info"}, "info"},
	} {
		out, stderr, code := once(t, append(c.env, "SKR_CONFIG="+path), "", append([]string{"config"}, c.args...)...)
		if code != 0 || !strings.Contains(out, "log_level: "+c.want+"\n") {
			t.Errorf("%v %v: exit %d, want %s\n%s%s", c.env, c.args, code, c.want, stderr, out)
		}
	}
	for text, want := range map[string]string{
		"lisen: x\n":               `unknown field "lisen"`,
		"listen: x\nlisten: y\n":   "duplicated",
		"kek_bits: [1]\n":          "kek_bits",
		"attestation_max_age: 1\n": "attestation_max_age",
		"listen: {a: b}\n":         "listen",
		"access:\n":                "access: it is present and empty",
		"Listen: x\nlisten: y\n":   "differ in case only",
		"":                         "present and empty",
		"listen: &a x\n":           "anchors",
		"listen: x\n---\nkeys: {}": "second document",
		"- a\n":                    "skr.yaml",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := once(t, nil, "", "config", "--config", path); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d, want %q in %s", text, code, want, stderr)
		}
	}
}

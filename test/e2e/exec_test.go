package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"skr/test/program"
)

// ofOrders returns the environment of a pod with the alias orders.
func (r *rotation) ofOrders() []string {
	return append(r.env, r.aliases(map[string]string{"orders": `"all"`}), "PATH="+os.Getenv("PATH"))
}

// The program gets the key in its environment, in memory and in a file, and nothing of it remains.
func TestExecHandsOver(t *testing.T) {
	t.Parallel()
	r, dir := newRotation(t), inMemory(t)
	env := r.ofOrders()
	key, stderr, code := once(t, env, "", "release", "--alias", "orders", "--format", "pem")
	if code != 0 {
		t.Fatal(stderr)
	}
	path := filepath.Join(dir, "key.pem")
	const script = `printf '%s' "$KEY"; cat "$MEMORY" "$1"; stat -L -c '%a %s' "$MEMORY" "$1"; tr '\0' '\n' </proc/$PPID/cmdline; ` +
		`if echo x >"$MEMORY"; then echo WRITA''BLE; fi`
	stdout, stderr, code := once(t, env, "", "exec", "--env", "KEY=orders:pem", "--memfd", "MEMORY=orders:pem", "--file", path+"=orders:pem",
		"--", "sh", "-c", script, "sh", path)
	told, found := strings.CutPrefix(stdout, key+key+key)
	if code != 0 || !found {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	modes := fmt.Sprintf("400 %d\n400 %d\n", len(key), len(key))
	if !strings.HasPrefix(told, modes) || strings.Contains(told, "PRIVATE") || strings.Contains(told, "WRITABLE") {
		t.Errorf("want %q, the arguments of skr without a key, and sealed memory in %q", modes, told)
	}
	if left, err := fs.Glob(os.DirFS(dir), "*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	t.Run("a key without an alias, and the environment", func(t *testing.T) {
		stdout, stderr, code := once(t, append(env, "MINE=1", "KEY=old"), "", "exec", "--authority", r.cloud.AttestationHost(), "--vault", r.vault,
			"--key", "orders", "--env", "KEY=:pem", "sh", "-c", `printf '%s' "$KEY"; env | grep -c ^KEY=; echo "$MINE" $#`, "--", "-port")
		if code != 0 || stdout != key+"1\n1 1\n" {
			t.Errorf("exit %d\n%s%s", code, stdout, stderr)
		}
	})
}

// The exit code is that of the program, or that of a shell. If the key is refused, nothing starts.
func TestExecExitCodes(t *testing.T) {
	t.Parallel()
	r, dir := newRotation(t), inMemory(t)
	kept := fmt.Sprintf(`"kept":{"vault":%q,"key":"orders","authority":%q,"ops":["sign"]}`, r.vault, r.cloud.AttestationHost())
	absent := fmt.Sprintf(`"absent":{"vault":%q,"key":"absent","authority":%q}`, r.vault, r.cloud.AttestationHost())
	aliases := r.aliases(map[string]string{"orders": `"all"`})
	plain := append(r.env, aliases, "PATH="+os.Getenv("PATH"))
	env := slices.Concat(r.env, []string{"SKR_KEYS={" + absent + "}", "PATH=" + os.Getenv("PATH")})
	withKept := slices.Concat(r.env, []string{"SKR_KEYS={" + kept + "}", "PATH=" + os.Getenv("PATH")})
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("#!/no/such/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, "started")
	starts := []string{"sh", "-c", `: >"$0"`, mark}
	for name, c := range map[string]struct {
		env  []string
		args []string
		code int
		text string
	}{
		"success":            {plain, []string{"--env", "K=orders:pem", "true"}, 0, ""},
		"code":               {plain, []string{"--env", "K=orders:pem", "sh", "-c", "exit 7"}, 7, ""},
		"signal":             {plain, []string{"--env", "K=orders:pem", "sh", "-c", "kill -KILL $$"}, 137, ""},
		"not found":          {plain, []string{"--env", "K=orders:pem", "no-such-program"}, 127, `"no-such-program" was not found`},
		"not executable":     {plain, []string{"--env", "K=orders:pem", filepath.Join(dir, "text")}, 126, "cannot be executed"},
		"no interpreter":     {plain, []string{"--env", "K=orders:pem", broken}, 127, "starting"},
		"refused":            {env, append([]string{"--env", "K=absent:pem"}, starts...), 3, "key not found"},
		"refused file":       {env, append([]string{"--file", filepath.Join(dir, "k") + "=absent:pem"}, starts...), 3, "key not found"},
		"kept alias":         {withKept, append([]string{"--env", "K=kept:pem"}, starts...), 3, `the key of alias "kept" stays in the sidecar`},
		"unknown alias":      {plain, append([]string{"--env", "K=other:pem"}, starts...), 2, `no alias "other"`},
		"a disk":             {plain, append([]string{"--file", "/proc/key=orders:pem"}, starts...), 2, "/proc is not in memory"},
		"no evidence":        {append(plain, "SKR_REPORT_SOURCE=unix:/nonexistent"), append([]string{"--env", "K=orders:pem"}, starts...), 5, "no evidence"},
		"a form of another":  {plain, append([]string{"--memfd", "K=orders:raw"}, starts...), 2, "no raw form"},
		"a link in the way":  {plain, append([]string{"--file", link(t, dir) + "=orders:pem"}, starts...), 2, "is a symbolic link"},
		"a foreign envelope": {plain, append([]string{"--env", "K=orders:envelope:" + broken}, starts...), 2, "reading an envelope"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := once(t, c.env, "", append([]string{"exec"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.text) || stdout != "" {
				t.Errorf("exit %d, want %d; want %q in\n%s%s", code, c.code, c.text, stderr, stdout)
			}
			if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the program started: %v", err)
			}
		})
	}
}

func link(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "link")
	if err := os.Symlink("target", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// running is a process of skr exec.
type running struct {
	process *exec.Cmd
	out     *program.Output
	log     *program.Output
	ended   chan error
}

func execute(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	p := &running{process: exec.Command(program.Path("skr"), append([]string{"exec"}, args...)...), out: new(program.Output),
		log: new(program.Output), ended: make(chan error, 1)}
	p.process.Env, p.process.Stdout, p.process.Stderr = env, p.out, p.log
	p.process.WaitDelay = patience // for what the program leaves behind with its output open
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.process.Wait() }()
	t.Cleanup(func() { _ = p.process.Process.Signal(syscall.SIGTERM) })
	return p
}

func (p *running) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the program says "+text, func() bool { return strings.Contains(p.out.String(), text) })
}

func (p *running) send(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// code returns the exit code after SIGTERM.
func (p *running) code(t *testing.T) int {
	t.Helper()
	p.send(t, syscall.SIGTERM)
	err := <-p.ended
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// idle waits until a signal arrives whose trap ends the shell. tail ends with the shell.
const idle = `; while :; do tail --pid=$$ -f /dev/null & wait $!; kill $!; done`

// Each signal reaches the program once, and the program decides what SIGTERM means.
func TestExecForwardsSignals(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	signals := map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
		"WINCH": syscall.SIGWINCH, "ALRM": syscall.SIGALRM, "CONT": syscall.SIGCONT, "40": syscall.Signal(40),
	}
	if signal.Ignored(syscall.SIGHUP) { // under nohup, the program inherits that
		delete(signals, "HUP")
	}
	script := `trap 'kill $!; exit 5' TERM`
	for name := range signals {
		script += fmt.Sprintf("; trap 'echo got %s' %s", name, name)
	}
	p := execute(t, r.ofOrders(), "--env", "K=orders:pem", "--", "sh", "-c", script+"; echo ready"+idle)
	p.says(t, "ready")
	for name, sig := range signals {
		p.send(t, sig)
		p.says(t, "got "+name+"\n")
	}
	if code := p.code(t); code != 5 {
		t.Errorf("exit %d, want 5\n%s", code, p.log)
	}
	for name := range signals {
		if n := strings.Count(p.out.String(), "got "+name+"\n"); n != 1 {
			t.Errorf("the program got %s %d times", name, n)
		}
	}
}

// The program is started again with the new version of its key, until it is told to end.
func TestExecRestarts(t *testing.T) {
	t.Parallel()
	r, dir := newRotation(t), inMemory(t)
	path := filepath.Join(dir, "key.pem")
	p := execute(t, r.ofOrders(), "--env", "K=orders:pem", "--file", path+"=orders:pem", "--on-rotate", "restart", "--key-refresh", "1s",
		"--", "sh", "-c", `trap 'kill $!; exit 6' TERM; cksum "$0"; printf '%s' "$K" | cksum; echo started`+idle, path)
	p.says(t, "started")
	first := p.out.String()
	r.rotate(t)
	eventually(t, "the program starts again", func() bool { return strings.Count(p.out.String(), "started") == 2 })
	second := strings.TrimPrefix(p.out.String(), first)
	for _, said := range []string{first, second} {
		lines := strings.Split(said, "\n")
		if len(lines) != 4 || !strings.HasPrefix(lines[0], lines[1][:strings.LastIndexByte(lines[1], ' ')]) {
			t.Errorf("the environment and the file differ: %q", said)
		}
	}
	if first == second {
		t.Errorf("the program has the old key: %q", second)
	}
	if code := p.code(t); code != 6 {
		t.Errorf("exit %d, want 6\n%s", code, p.log)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file remains: %v", err)
	}
}

// A failed refresh leaves the program and its file alone. A new version replaces the file before the signal.
func TestExecSignals(t *testing.T) {
	t.Parallel()
	r, dir := newRotation(t), inMemory(t)
	path := filepath.Join(dir, "key.pem")
	p := execute(t, r.ofOrders(), "--file", path+"=orders:pem", "--on-rotate", "signal:USR1", "--key-refresh", "1s",
		"--", "sh", "-c", `trap 'kill $!; exit 0' TERM; trap 'echo reloaded; cat "$0"' USR1; echo ready`+idle, path)
	p.says(t, "ready")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r.change(t, "disable", "orders", "--yes")
	eventually(t, "a refresh fails", func() bool { return strings.Contains(p.log.String(), "cannot be released") })
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, before) || strings.Contains(p.out.String(), "reloaded") {
		t.Errorf("the file or the program changed: %v", err)
	}
	r.change(t, "enable", "orders")
	r.rotate(t)
	p.says(t, "reloaded")
	p.says(t, "-----END PRIVATE KEY-----")
	now, err := os.ReadFile(path)
	if err != nil || bytes.Equal(now, before) || !strings.HasSuffix(p.out.String(), string(now)) {
		t.Errorf("the program read another key than the file has, or the old one: %v", err)
	}
	if code := p.code(t); code != 0 {
		t.Errorf("exit %d\n%s", code, p.log)
	}
}

// change runs a command of skrctl key that has no files.
func (r *rotation) change(t *testing.T, args ...string) {
	t.Helper()
	if _, stderr, code := operate(t, r.env, "", append(append([]string{"key"}, args...), "--vault", r.vault)...); code != 0 {
		t.Fatal(stderr)
	}
}

// What skrctl seals is opened with the version that it was sealed to, and not if it was altered.
func TestExecOpensEnvelopes(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	const secret = "postgres://app:word@db/app\n"
	dir := t.TempDir()
	path := filepath.Join(dir, "dsn.jwe")
	if _, stderr, code := operate(t, r.env, secret, "seal", "orders", "--vault", r.vault, "--out", path); code != 0 {
		t.Fatal(stderr)
	}
	open := func(path string, more ...string) (string, string, int) {
		return once(t, append(r.ofOrders(), more...), "", "exec", "--env", "DSN=orders:envelope:"+path, "--memfd", "FILE=orders:envelope:"+path,
			"--", "sh", "-c", `printf '%s' "$DSN"; cat "$FILE"`)
	}
	opens := func(path string) {
		t.Helper()
		if stdout, stderr, code := open(path); code != 0 || stdout != secret+secret {
			t.Errorf("exit %d, %q\n%s", code, stdout, stderr)
		}
	}
	opens(path)
	r.rotate(t)
	opens(path)
	if _, stderr, code := open(path, r.aliases(map[string]string{"orders": `"latest"`})); code != 3 || !strings.Contains(stderr, "does not give the version") {
		t.Errorf("an old version that the alias does not give: exit %d\n%s", code, stderr)
	}
	kept := fmt.Sprintf(`SKR_KEYS={"orders":{"vault":%q,"key":"orders","authority":%q,"versions":"all","ops":[%%q]}}`, r.vault, r.cloud.AttestationHost())
	for _, op := range []string{"unwrapKey", "decrypt"} {
		if stdout, stderr, code := open(path, fmt.Sprintf(kept, op)); code != 0 || stdout != secret+secret {
			t.Errorf("an alias that keeps its key and has %s: exit %d\n%s", op, code, stderr)
		}
	}
	if _, stderr, code := open(path, fmt.Sprintf(kept, "sign")); code != 3 || !strings.Contains(stderr, "unwrapKey") {
		t.Errorf("an alias that may sign alone: exit %d\n%s", code, stderr)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	altered := filepath.Join(dir, "altered.jwe")
	if at := len(text) - 10; text[at] != 'A' { // still base64url
		text[at] = 'A'
	} else {
		text[at] = 'B'
	}
	if err := os.WriteFile(altered, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, code := open(altered); code != 2 || stdout != "" || !strings.Contains(stderr, "was altered") {
		t.Errorf("an altered envelope: exit %d, %q\n%s", code, stdout, stderr)
	}
}

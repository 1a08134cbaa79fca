package diagnosis

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/test/emulator"
	"skr/test/emulator/vault"
	"skr/test/program"
)

// office is where operators change keys with skrctl, for two pods with different measurements.
type office struct {
	cloud            *emulator.Cloud
	dir              string
	vault, authority string // in use
	other, protected string // vaults
	renamed          string // authority
	one, two         string // measurements of the pods
	first            string // version
	held             *held  // holds back changes of policies
	podOne, podTwo   *emulator.Machine
}

func newOffice(t *testing.T) *office {
	t.Helper()
	held := new(held)
	cloud := program.Cloud(t, emulator.Config{Vaults: func(host string, c *vault.Config) {
		c.PurgeProtection, c.Permissions = strings.HasPrefix(host, "protected."), held.allow
	}})
	second, err := cloud.AddMachine("second", emulator.MachineConfig{Policy: "package policy\n\nallow := true\n"})
	if err != nil {
		t.Fatal(err)
	}
	return &office{
		cloud: cloud, held: held, dir: t.TempDir(), vault: cloud.Host("demo", "vault"), authority: cloud.AttestationHost(),
		other: cloud.Host("other", "vault"), protected: cloud.Host("protected", "vault"), renamed: cloud.Host("sharedweu.weu", "attest"),
		podOne: cloud.Machine(), podTwo: second, one: cloud.Machine().HostData().String(), two: second.HostData().String(),
	}
}

// create creates a key that one pod may have, and returns its version.
func (o *office) create(t *testing.T, name, measurement string, more ...string) (version string) {
	t.Helper()
	said := o.do(t, 0, append([]string{"key", "create", name, "--authority", o.authority, "--platform", "aci", "--measurement", measurement,
		"--size", "2048", "--out-dir", o.dir}, more...)...)
	return versionIn(said, name)
}

// rotate makes a new version, and returns it.
func (o *office) rotate(t *testing.T, name string) (version string) {
	t.Helper()
	return versionIn(o.do(t, 0, "key", "rotate", name, "--out-dir", o.dir), name)
}

// versionIn returns the version of the key in the output of a command.
func versionIn(said, name string) string {
	_, text, _ := strings.Cut(said, "/keys/"+name+"/")
	return text[:min(len(text), 32)]
}

// inventory writes keys.yaml.
func (o *office) inventory(t *testing.T, keys ...string) {
	t.Helper()
	text := "vault: " + o.vault + "\nplatform: aci\nauthorities: [" + o.authority + "]\nkeys:\n"
	for _, key := range keys {
		text += "  - " + key + "\n"
	}
	if err := os.WriteFile(o.file("keys.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command returns a command of skrctl. Commands for a key get the vault.
func (o *office) command(ctx context.Context, args ...string) *exec.Cmd {
	if args[0] == "key" {
		args = append(args, "--vault", o.vault)
	}
	process := exec.CommandContext(ctx, program.Path("skrctl"), args...)
	process.Env = program.Unassigned(o.cloud.Environment(o.podOne))
	return process
}

// do runs skrctl, and returns what it printed. It expects the exit code.
func (o *office) do(t *testing.T, code int, args ...string) string {
	t.Helper()
	return finished(t, o.command(t.Context(), args...), code)
}

// pod releases a key, NAME or NAME/VERSION, in a pod.
func (o *office) pod(t *testing.T, code, number int, key string) string {
	t.Helper()
	return finished(t, o.inPod(t, number, "release", "--out", o.file("released"), "--key", key), code)
}

func (o *office) doctor(t *testing.T, code, number int, key string) string {
	t.Helper()
	return finished(t, o.inPod(t, number, "doctor", "--key", key), code)
}

func (o *office) inPod(t *testing.T, number int, args ...string) *exec.Cmd {
	t.Helper()
	process := exec.CommandContext(t.Context(), program.Path("skr"), append(args, "--authority", o.authority, "--vault", o.vault)...)
	process.Env = program.Unassigned(append(o.cloud.Environment(map[int]*emulator.Machine{1: o.podOne, 2: o.podTwo}[number]), "SKR_LISTEN=localhost:1"))
	return process
}

func finished(t *testing.T, process *exec.Cmd, want int) string {
	t.Helper()
	out, err := process.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	if code := process.ProcessState.ExitCode(); code != want {
		t.Fatalf("%s: exit code %d, want %d\n%s", strings.Join(process.Args[1:], " "), code, want, out)
	}
	return string(out)
}

// begin runs skrctl until it asks. The result answers, and returns what was printed.
func (o *office) begin(t *testing.T, args ...string) (answer func(code int) string) {
	t.Helper()
	process := o.command(t.Context(), args...)
	said := new(program.Output)
	process.Stdout, process.Stderr = said, said
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, said, "to go on: ")
	return func(want int) string {
		t.Helper()
		if _, err := io.WriteString(in, "orders\n"); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait()
		if code := process.ProcessState.ExitCode(); code != want {
			t.Errorf("exit code %d, want %d\n%s", code, want, said)
		}
		return said.String()
	}
}

// dies runs skrctl, and kills it when its change of that key has arrived at the vault, which does not make
// it.
func (o *office) dies(t *testing.T, key string, args ...string) {
	t.Helper()
	o.held.begin(key)
	process := o.command(t.Context(), args...)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-o.held.arrived:
	case <-time.After(patience):
		t.Error("the vault gets no change")
	}
	_ = process.Process.Kill()
	_ = process.Wait()
	o.held.end()
}

// held holds back changes of one key, and refuses them in the end.
type held struct {
	mu      sync.Mutex
	key     string
	arrived chan struct{}
	ended   chan struct{}
}

func (h *held) begin(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key, h.arrived, h.ended = key, make(chan struct{}, 1), make(chan struct{})
}

func (h *held) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key = ""
	close(h.ended)
}

// allow is the vault's check of permissions.
func (h *held) allow(_ vault.Caller, action, name string) error {
	h.mu.Lock()
	holds, ended := name == h.key && strings.HasSuffix(action, "/keys/update/action"), h.ended
	h.mu.Unlock()
	if !holds {
		return nil
	}
	select {
	case h.arrived <- struct{}{}:
	default:
	}
	<-ended
	return errors.New("held back")
}

func await(t *testing.T, said *program.Output, words string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(said.String(), words); time.Sleep(5 * time.Millisecond) { // another process
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %q:\n%s", words, said)
		}
	}
}

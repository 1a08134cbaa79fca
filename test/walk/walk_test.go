package walk

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/samples"
)

var update = flag.Bool("update", false, "write the tables of docs/architecture.md")

// sidecar is skr with the recorder.
type sidecar struct {
	dir     string
	process *exec.Cmd
	client  *api.Client
	log     *program.Output
}

func start(t *testing.T, binary string, env []string) *sidecar {
	t.Helper()
	s := &sidecar{dir: t.TempDir(), log: new(program.Output)}
	_, port, _ := net.SplitHostPort(program.FreeAddress(t))
	s.process = exec.Command(binary)
	s.process.Env = append(env, "Port="+port, "WALK_DIRECTORY="+s.dir)
	s.process.Stderr = s.log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		if t.Failed() {
			t.Log(s.log)
		}
	})
	var err error
	if s.client, err = api.NewClient(api.Config{BaseURL: "http://localhost:" + port, Attempts: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.client.WaitReady(ctx); err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	return s
}

// record returns the functions that one release enters.
func (s *sidecar) record(t *testing.T, request api.ReleaseRequest) []byte {
	t.Helper()
	s.signal(t, "begun")
	lines := s.lines()
	if _, err := s.client.Release(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for s.lines() == lines { // the log line is the last step of a request
		time.Sleep(time.Millisecond)
	}
	return s.signal(t, "stacks")
}

// lines returns the number of log lines about releases.
func (s *sidecar) lines() int { return strings.Count(s.log.String(), `"route":"/key/release"`) }

// signal sends the signal and waits for the recorder's output.
func (s *sidecar) signal(t *testing.T, name string) []byte {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := s.process.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	for {
		content, err := os.ReadFile(path)
		if err == nil {
			_ = os.Remove(path)
			return content
		}
		if !os.IsNotExist(err) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // another process, whose clock tests cannot control
	}
}

// mechanisms run their callers' work, which does not count as a new entry.
var mechanisms = []string{"internal/singleflight", "internal/crash", "internal/secmem", "internal/strictjson"}

// tools are packages that many others call for a value, a calculation or a note. They make no
// requests and no decisions about the release, so the table leaves them out.
var tools = []string{
	"api", "internal/cache", "internal/azure/endpoint", "internal/certificate", "internal/jose/jwk", "internal/jose/jws",
	"internal/jose/keywrap", "internal/observe/journal", "internal/observe/metrics", "internal/observe/tracing",
	"internal/refusal", "internal/strictjson",
}

// record releases a key of an emulated cloud twice: cold, then warm with the first release's
// attested KEK.
func record(t *testing.T) (cold, warm []entry) {
	t.Helper()
	binary := build(t, t.TempDir())
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	policy := []byte(`{"version":"1.0.0","anyOf":[{"authority":"https://` + cloud.AttestationHost() +
		`","allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`)
	if _, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	s := start(t, binary, cloud.Environment(cloud.Machine()))
	request := api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "k"}
	cold = walk(parse(t, s.record(t, request)))
	return cold, walk(parse(t, s.record(t, request)))
}

// TestWalk compares the packages that two releases enter with the tables of
// docs/architecture.md. On the way in, no package may be entered again from a package that it
// led to.
func TestWalk(t *testing.T) {
	cold, warm := record(t)
	compare(t, "cold", stepsOf(cold))
	compare(t, "warm", stepsOf(warm))
	for _, e := range slices.Concat(wayIn(t, cold), wayIn(t, warm)) {
		passed := route(e.stack)
		for i, directory := range passed {
			if slices.Contains(passed[:i], directory) {
				t.Fatalf("%s enters %s again: %s", e.stack[0].function, directory, strings.Join(passed, " → "))
			}
		}
	}
}

// wayIn ends where the release is recorded for the audit log: the key is open by then.
func wayIn(t *testing.T, walked []entry) []entry {
	t.Helper()
	end := slices.IndexFunc(walked, func(e entry) bool { return strings.HasSuffix(e.stack[0].function, ").Released") })
	if end < 0 {
		t.Fatal("the release was not recorded for the audit log")
	}
	return walked[:end]
}

// filesOfRow keeps a row of the table on a screen.
const filesOfRow = 8

// compare checks the steps against the table after the mark <!-- walk: name -->.
func compare(t *testing.T, name string, steps []step) {
	t.Helper()
	var table strings.Builder
	files, listed, packages := 0, 0, 0
	for _, s := range steps {
		files += len(s.files)
		if !slices.Contains(tools, s.directory) && !slices.Contains(mechanisms, s.directory) {
			listed, packages = listed+len(s.files), packages+1
			name := "`" + s.directory + "`"
			for row := range slices.Chunk(s.files, filesOfRow) {
				fmt.Fprintf(&table, "| %s | `%s` |\n", name, strings.Join(row, "` `"))
				name = ""
			}
		}
	}
	t.Logf("%s: %d files of %d packages; with the tools %d of %d", name, listed, packages, files, len(steps))
	path := filepath.Join(samples.Repository(t), "docs/architecture.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := "<!-- walk: " + name + " -->\n\n| package | files |\n|---|---|\n"
	before, after, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("no table of the %s walk", name)
	}
	want, rest, _ := strings.Cut(after, "\n\n")
	if want+"\n" == table.String() {
		return
	}
	if !*update {
		t.Errorf("docs/architecture.md has another %s walk; -args -update writes this one:\n%s", name, &table)
		return
	}
	if err := os.WriteFile(path, []byte(before+head+table.String()+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
}

package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"skr/test/emulator"
	"skr/test/emulator/vault"
	"skr/test/program"
)

func TestMain(m *testing.M) { program.Main(m, "skr", "skrctl") }

// patience is how long a script may take. A command that hangs fails its own script, and does
// not use up the time of all tests.
const patience = 4 * time.Minute

func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runScript(script{t}, file, patience)
		})
	}
}

func runScript(t testscript.T, file string, within time.Duration) {
	testscript.RunT(t, testscript.Params{
		Files:               []string{file},
		Deadline:            time.Now().Add(within),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "PATH="+program.Directory()+":"+os.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"cloud": cloud, "vm": vm, "statement": statement, "image": image},
	})
}

// script is the test of one script. It has already begun when testscript runs it, so its
// deadline excludes the time spent waiting for other tests.
type script struct{ *testing.T }

func (script) Parallel() {}

func (s script) Run(_ string, run func(testscript.T)) { run(s) }

func (script) Verbose() bool { return testing.Verbose() }

// ending is a script that must fail. It records testscript's output.
type ending struct {
	script
	said []string
}

func (e *ending) Run(_ string, run func(testscript.T)) { run(e) }

func (e *ending) Log(args ...any) { e.said = append(e.said, fmt.Sprint(args...)) }

func (e *ending) Fatal(args ...any) {
	e.Log(args...)
	e.FailNow()
}

func (e *ending) FailNow() { runtime.Goexit() }

// TestHangingScripts: a command that does not end, in the foreground or in the background,
// fails its script when the time is up.
func TestHangingScripts(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"foreground": "exec sleep 1000\n",
		"background": "exec sleep 1000 &sleeper&\nwait sleeper\n",
		"shell":      "exec sh -c 'until test -e never; do sleep 0.05; done'\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "hangs.txtar")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			e, ended := &ending{script: script{t}}, make(chan struct{})
			go func() {
				defer close(ended)
				runScript(e, file, time.Second)
			}()
			<-ended
			if said := strings.Join(e.said, "\n"); !strings.Contains(said, "FAIL: ") {
				t.Errorf("the script did not fail: %s", said)
			}
		})
	}
}

// cloud starts an emulated cloud and gives the script the environment of a pod in it. The pod
// runs on AKS with "cloud aks-kata", and on a virtual machine with "cloud cvm" and "cloud
// trusted-launch". $VAULT, $HSM and $MAA are the hosts of the vault, the Managed HSM and the
// authority. $KEY is a key that the pod may release, and $HOSTDATA is the pod's own.
// $POD_AZURE_CLIENT_ID and its like are what AKS gives to a pod with workload identity,
// $PIPELINE_AZURE_CLIENT_ID and its like are a service principal with a secret, and
// $TOKEN_FILE contains its access token for $VAULT. Vaults with other names are at $PORT and
// follow [rules]. $DEPLOY is the repository's directory of that name.
func cloud(ts *testscript.TestScript, neg bool, args []string) {
	machine, known := machines[strings.Join(args, " ")]
	if neg || !known {
		ts.Fatalf("usage: cloud [aks-kata | cvm | trusted-launch]")
	}
	deploy, err := filepath.Abs("../../deploy")
	ts.Check(err)
	dir, err := os.MkdirTemp("", "skr-") // a script's own directory may be too long for a socket
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	c, err := emulator.Start(context.Background(), emulator.Config{Dir: dir, Machine: machine, Vaults: rules})
	ts.Check(err)
	ts.Defer(func() { _ = c.Close() })
	vault := c.Host("demo", "vault")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`,
		c.AttestationHost(), c.Machine().HostData())
	_, err = c.CreateKey(context.Background(), vault, emulator.KeySpec{Name: "demo", Size: 2048}, policy)
	ts.Check(err)
	for _, assignment := range append(c.Environment(c.Machine()),
		"VAULT="+vault, "HSM="+c.Host("demo", "managedhsm"), "MAA="+c.AttestationHost(), "KEY=demo",
		"HOSTDATA="+c.Machine().HostData().String(), "PORT="+vault[strings.LastIndexByte(vault, ':')+1:],
		"DEPLOY="+deploy) {
		name, value, _ := strings.Cut(assignment, "=")
		ts.Setenv(name, value)
	}
	token, err := c.AccessToken(vault)
	ts.Check(err)
	tokenFile := filepath.Join(dir, "access-token")
	ts.Check(os.WriteFile(tokenFile, []byte(token), 0o600))
	ts.Setenv("TOKEN_FILE", tokenFile)
	identity, err := c.WorkloadIdentity()
	ts.Check(err)
	for _, assignment := range identity {
		name, value, _ := strings.Cut(assignment, "=")
		ts.Setenv("POD_"+name, value)
	}
	for _, assignment := range c.ServicePrincipal() {
		name, value, _ := strings.Cut(assignment, "=")
		ts.Setenv("PIPELINE_"+name, value)
	}
}

var machines = map[string]emulator.MachineConfig{
	"":               {},
	"aks-kata":       {Platform: emulator.AKSKata},
	"cvm":            {Platform: emulator.ConfidentialVM},
	"trusted-launch": {Platform: emulator.TrustedLaunch},
}

// rules returns the rules of a vault by the first label of its name. "standard" has that
// tier, "readonly" lets no caller create keys, and "closed" lets no caller do anything.
// "slow" takes its time to delete, recover and purge, as Azure does; "protected" purges
// nothing; "unwatched" lets no caller see deleted keys.
func rules(host string, c *vault.Config) {
	name, _, _ := strings.Cut(host, ".")
	c.StandardSKU = name == "standard"
	c.PurgeProtection = name == "protected"
	if name == "slow" || name == "unwatched" {
		c.DeletionDelay = time.Second
	}
	if name == "unwatched" {
		c.Permissions = func(_ vault.Caller, action, _ string) error {
			if strings.HasSuffix(action, "/deletedkeys/read") {
				return errors.New("no such role")
			}
			return nil
		}
	}
	if name == "readonly" || name == "closed" {
		c.Permissions = func(_ vault.Caller, action, _ string) error {
			if name == "readonly" && strings.HasSuffix(action, "/read") {
				return nil
			}
			return errors.New("no such role")
		}
	}
}
